"""FastAPI itself: pydantic in, pydantic out, nothing in between. What any FastAPI service stays below."""

from fastapi import FastAPI
from pydantic import BaseModel


class Asked(BaseModel):
    inputs: str | list[str]


class Label(BaseModel):
    label: str
    score: float


class Said(BaseModel):
    labels: list[Label]
    tokens: int


class Answer(BaseModel):
    results: list[Said]


app = FastAPI()


@app.post("/predict", response_model=Answer)
async def predict(asked: Asked) -> Answer:
    labels = [Label(label="positive", score=0.75), Label(label="negative", score=0.25)]
    return Answer(results=[Said(labels=labels, tokens=len(asked.inputs))])
