"""The one way in: plain ASGI layers that every request passes, whatever answers it.

    record -> (cors) -> problems -> (keys) -> (control) -> hotpath -> the framework's routes

Plain ASGI and not Starlette's BaseHTTPMiddleware, behind which a handler never hears that its client has left.
"""
