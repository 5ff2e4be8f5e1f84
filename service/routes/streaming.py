"""A text that comes in chunks: `step`, whose state the client carries, and `stream`, a WebSocket."""

from fastapi import APIRouter, Request, Response, WebSocket

from models.errors import EmptyText
from models.inference.stream_state import StreamState
from models.inference.streaming import Streamer

from ..errors import StateRejected
from ..exchange import exchange_of
from ..state import State, state_of, terms_of
from ..wire.rendering import JSON, dumps
from ..wire.rendering_streams import stream_result
from ..wire.schemas_streaming import StepAnswer, StepRequest
from . import bodies, turns, work
from .answers import Answer
from .chunks import decode_chunk, whole_text
from .documented import body, json_answer
from .sockets import serve_stream

router = APIRouter(prefix="/v1", tags=["streaming"])


@router.post(
    "/models/{name}/step",
    responses=json_answer(StepAnswer),
    openapi_extra=body(StepRequest),
    summary="The next chunk of a text, from the state that the last one left",
)
async def step(request: Request, name: str) -> Response:
    """The prediction for the text so far, for the price of the new tokens, and a state to send with the next chunk.

    For forward-only models (`streamable`). Any chunks give the answers of the whole text: a word that a chunk cuts is
    read as it stands, and read anew when the rest comes. The state is encrypted, has one size whatever was read, is
    good on every replica that has the same `GATESCOPE_STATE_KEY`, and expires. An NER model gives each entity until it
    is `final`.

    `WS /v1/models/{name}/stream` does the same: frames `{"text": "..."}` in, a frame for each token out, and at the end
    `{"done": true}`.
    """
    state = state_of(request)
    predictor = state.predictor(name)
    streamer = turns.streamer_of(state, predictor)
    bodies.accepted(request, (JSON,))
    depth = state.settings.max_json_depth
    decoded = decode_chunk(await bodies.content(request, state.settings), depth)
    asked = bodies.validate(decoded.value, StepRequest)
    before = _before(state, streamer, asked.state)
    text = whole_text(decoded, asked.text, before.position.tail)
    if not text and asked.state is None:
        raise EmptyText
    wanted = turns.Wanted(asked.inspect, asked.offset_unit)
    turn = await turns.prepared(state, streamer, before, text, wanted)
    terms = terms_of(request, state.settings.deadline_ms)
    done = await turns.run(state, streamer, turn, terms, exchange_of(request.scope))
    sealed = state.sealer.seal(streamer.layout.pack(done.state), predictor.checkpoint.weights_sha256)

    def write() -> bytes:
        results = [stream_result(predictor, done, answer, wanted.style) for answer in done.answers]
        return dumps({"results": results, "state": sealed, "timestep": done.timestep})

    return Answer(await work.written(turns.values(streamer, turn), write), JSON)


def _before(state: State, streamer: Streamer, token: str | None) -> StreamState:
    """Raises: StateRejected."""
    if token is None:
        return streamer.begin()
    weights = streamer.predictor.checkpoint.weights_sha256
    raw = state.sealer.open(token, streamer.layout.size, weights)
    try:
        return streamer.layout.unpack(raw)
    except (ValueError, IndexError):  # sealed with our key by another version
        raise StateRejected("it was made by another version of this service") from None


@router.websocket("/models/{name}/stream")
async def stream(websocket: WebSocket, name: str) -> None:
    await serve_stream(websocket, name)
