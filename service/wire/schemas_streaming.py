"""Requests and answers of a text that comes in chunks."""

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from .schemas import EntityOut, InspectOptions, OffsetUnit, Result, StrictRequest


class StepRequest(StrictRequest):
    text: str = Field(description="the next chunk; it may end within a word or a surrogate pair", examples=["我想吃"])
    state: str | None = Field(None, description="as the last step gave it; null at the beginning of a text")
    inspect: InspectOptions | None = Field(
        None, description="also show activations of the tokens that this step reads; without select.timesteps"
    )
    offset_unit: OffsetUnit = Field("code_point", description="what start and end count, from the text's beginning")


class StreamFrame(StrictRequest):
    """One frame of a WebSocket: a chunk, or the end."""

    text: str | None = Field(None, description="the next chunk")
    done: Literal[True] | None = Field(None, description="ends the stream")
    inspect: InspectOptions | None = Field(None, description="also show activations of this chunk's tokens")
    offset_unit: OffsetUnit = Field("code_point", description="what start and end count, from the text's beginning")

    @model_validator(mode="after")
    def _one_of_both(self) -> "StreamFrame":
        if (self.text is None) == (self.done is None):
            raise ValueError('a frame has one of text and done: send {"text": "..."} or {"done": true}')
        return self


class StreamEntityOut(EntityOut):
    final: bool = Field(description="whether no later token can change it; then it is not given again")


class StreamResult(Result):
    """The answer for the text so far; fields that were not requested are left out."""

    entities: list[StreamEntityOut] | None = Field(  # type: ignore[assignment]  # the same with one field more
        None, description="NER: in text order, those that were not final before"
    )
    tokens: int = Field(description="of the text so far")


class StepAnswer(BaseModel):
    results: list[StreamResult] = Field(
        description="the prediction after the chunk; empty while the text has no token, as of white space alone"
    )
    state: str = Field(
        description="opaque: send it with the next chunk, to any replica with the same GATESCOPE_STATE_KEY"
    )
    timestep: int = Field(description="tokens so far, the last of which the next chunk may still change")
