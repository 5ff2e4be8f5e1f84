"""A stream over a WebSocket: frames in, a frame for each token out, every error a frame before the close."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from models.errors import ModelError
from models.inference.stream_state import StreamState
from models.inference.streaming import Streamer
from models.inference.turns import Step

from ..engine.terms import Terms
from ..errors import ForeignOrigin, FrameRejected, NotReady, ServiceError, StreamIdle, TooManyStreams
from ..settings import Settings
from ..state import State
from ..wire.problems import body_of, response_of
from ..wire.rendering import dumps
from ..wire.rendering_streams import stream_result
from ..wire.schemas_streaming import StreamFrame
from . import bodies, turns
from .chunks import DecodedChunk, decode_chunk, whole_text

log = logging.getLogger(__name__)
PROTOCOL, KEY_PROTOCOL = "gatescope", "gatescope.key."
_DONE, _BUG = 1000, 1011
# status of a problem -> code of the close (RFC 6455, 7.4.1, and IANA's registry): of all others 1008
_CODES = {400: 1007, 415: 1003, 408: 1001, 413: 1009, 429: 1013, 500: _BUG, 503: 1013, 504: 1013}


async def serve_stream(websocket: WebSocket, name: str) -> None:
    """From the handshake to the close. What is wrong before it is answered by HTTP, after it by a frame."""
    state = cast(State, websocket.scope["app"].service)
    try:
        _admit(websocket, state)
    except ServiceError as error:
        await _deny(websocket, error)
        return
    state.streams.add(websocket)
    try:
        await websocket.accept(subprotocol=_subprotocol(websocket))
        await _answered(websocket, state, name)
    except WebSocketDisconnect:
        pass  # nobody is left to answer
    finally:
        state.streams.discard(websocket)


def _admit(websocket: WebSocket, state: State) -> None:
    """Raises: ForeignOrigin, NotReady, TooManyStreams."""
    check_origin(websocket, state.settings)
    if state.leaving.is_set():
        raise NotReady("draining")
    if len(state.streams) >= state.settings.max_streams:
        raise TooManyStreams(state.settings.max_streams)


def check_origin(websocket: WebSocket, settings: Settings) -> None:
    """Browsers let any page open a WebSocket, and say which one it is: this server's own, or one that is allowed.

    Raises: ForeignOrigin.
    """
    origin = websocket.headers.get("origin")
    allowed = {part.strip() for part in settings.cors_origins.split(",")}
    if origin is None or origin in allowed or "*" in allowed:
        return
    if origin.partition("://")[2] != websocket.headers.get("host", ""):
        raise ForeignOrigin(origin)


def _subprotocol(websocket: WebSocket) -> str | None:
    """The one to agree on: browsers close a connection on which none of those they offered is chosen."""
    offered = websocket.scope["subprotocols"]
    if PROTOCOL in offered:
        return PROTOCOL
    return next((each for each in offered if each.startswith(KEY_PROTOCOL)), None)


async def _deny(websocket: WebSocket, error: ServiceError) -> None:
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response_of(error))
    else:
        await websocket.close(1008)


async def _answered(websocket: WebSocket, state: State, name: str) -> None:
    """Run the stream; an error ends it by a frame with the problem, and the code that is nearest to it."""
    try:
        stream = Stream(websocket, state, turns.streamer_of(state, state.predictor(name)))
        await stream.run()
    except (ModelError, ServiceError) as error:
        problem, code = body_of(error), None
    except WebSocketDisconnect:
        raise
    except Exception as error:
        log.error("a bug: %s in a stream", type(error).__name__, exc_info=error)
        problem, code = body_of(None), _BUG
    else:
        return
    await websocket.send_text(dumps(problem).decode())
    await websocket.close(code or _CODES.get(int(problem["status"]), 1008))


@dataclass
class Stream:
    """One connection. A frame is read when the one before is answered and sent: who reads slowly is answered slowly."""

    websocket: WebSocket
    state: State
    streamer: Streamer
    last: Step | None = None

    async def run(self) -> None:
        """Raises: any problem of a frame; WebSocketDisconnect."""
        settings = self.state.settings
        while True:
            decoded = decode_chunk(await self._received(), settings.max_json_depth)
            frame = bodies.validate(decoded.value, StreamFrame)
            if frame.done:
                await self._send({"done": True, "timestep": self.last.timestep if self.last else 0})
                await self.websocket.close(_DONE)
                return
            await self._chunk(frame, decoded)

    async def _received(self) -> bytes:
        """Raises: StreamIdle, FrameRejected, WebSocketDisconnect."""
        limit_ms = self.state.settings.stream_idle_ms
        try:
            async with asyncio.timeout(limit_ms / 1000):
                message = await self.websocket.receive()
        except TimeoutError:
            raise StreamIdle(limit_ms) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        if message.get("text") is None:
            raise FrameRejected
        return str(message["text"]).encode()

    async def _chunk(self, frame: StreamFrame, decoded: DecodedChunk) -> None:
        before: StreamState = self.last.state if self.last else self.streamer.begin()
        text = whole_text(decoded, frame.text or "", before.position.tail)
        wanted = turns.Wanted(frame.inspect, frame.offset_unit)
        turn = await turns.prepared(self.state, self.streamer, before, text, wanted)
        turn = turn.answering(turn.unchanged(self.last.turn) if self.last else 0)
        terms = Terms.from_now(self.state.settings.deadline_ms)
        self.last = await turns.run(self.state, self.streamer, turn, terms)
        for answer in self.last.answers:
            result = stream_result(self.streamer.predictor, self.last, answer, wanted.style)
            await self._send({"results": [result], "timestep": answer.timestep})

    async def _send(self, frame: dict[str, Any]) -> None:
        await self.websocket.send_text(dumps(frame).decode())
        await asyncio.sleep(0)  # sending does not suspend while the client reads: others have their turn
