"""FastAPI alone: pydantic in and out, and a constant answer. The upper bound for any FastAPI service."""

from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    inputs: str | list[str]


class Label(BaseModel):
    label: str
    score: float


class Result(BaseModel):
    labels: list[Label]
    tokens: int


class Answer(BaseModel):
    results: list[Result]


app = FastAPI()


@app.post("/predict", response_model=Answer)
async def predict(request: Request) -> Answer:
    labels = [Label(label="positive", score=0.75), Label(label="negative", score=0.25)]
    return Answer(results=[Result(labels=labels, tokens=len(request.inputs))])
