"""FastAPI as most people write it: pydantic in and out, the model called in the handler. The lower bound."""

from fastapi import FastAPI
from pydantic import BaseModel

from .shared import load


class Request(BaseModel):
    inputs: str


class Label(BaseModel):
    label: str
    score: float


class Answer(BaseModel):
    labels: list[Label]


def create() -> FastAPI:
    app, predict_batch = FastAPI(), load()

    @app.post("/predict", response_model=Answer)
    async def predict(request: Request) -> Answer:
        return Answer.model_validate(predict_batch([request.inputs])[0])

    return app
