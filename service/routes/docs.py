"""``/docs``: Swagger UI from the package fastapi-offline. The page loads nothing from another host."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

router = APIRouter(include_in_schema=False)
_STATIC = Path(str(files("fastapi_offline"))) / "static"
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
# Swagger UI sets styles on its elements and draws its icons as data: images; scripts run from this server's files alone
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
# addresses are relative: the page works behind a prefix too
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gatescope</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = b"""window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
"""


@router.get("/docs")
async def page() -> Response:
    return Response(_PAGE, headers=_HEADERS, media_type="text/html; charset=utf-8")


@router.get("/docs/start.js")
async def start() -> Response:
    return Response(_START, headers=_HEADERS, media_type="text/javascript")


def _asset(name: str, media_type: str) -> None:
    @router.get(f"/docs/{name}")
    async def asset() -> Response:
        headers = {**_HEADERS, "cache-control": "public, max-age=86400"}
        return FileResponse(_STATIC / name, headers=headers, media_type=media_type)


for _name, _media_type in _ASSETS.items():
    _asset(_name, _media_type)
