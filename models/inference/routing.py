"""One model on the CPU and on a card: each batch runs where it is predicted to be done first.

A card has a start of its own, so one text is done earlier on the CPU and many are done earlier on the card. Where the
two cross depends on the model, on what is asked for and on the machine, so it is measured: each place has a pace for
each kind of work, fitted at warm-up and while serving.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .inspection import Inspection, Plan, plan
from .prediction import Prediction, Prepared
from .predictor import Predictor

Kind = Literal["predict", "inspect", "reduce"]
WARM_UP_TEXTS = (1, 4, 16, 64)


class Pace(Protocol):
    """The predicted time of a batch by its tokens, learnt from batches that ran."""

    def measured(self, tokens: int, seconds: float) -> None: ...

    def seconds(self, tokens: int) -> float: ...


def kind_of(inspection_plan: Plan | None) -> Kind:
    """What decides a batch's pace, beside its tokens: whether gates are recorded, and whether they are returned."""
    if inspection_plan is None:
        return "predict"
    return "inspect" if inspection_plan.tensors else "reduce"


@dataclass(frozen=True)
class Place:
    """A predictor on one device, and its pace for each kind of work."""

    predictor: Predictor
    paces: dict[Kind, Pace]

    @classmethod
    def of_predictor(cls, predictor: Predictor, pace: Callable[[], Pace]) -> "Place":
        return cls(predictor, {"predict": pace(), "inspect": pace(), "reduce": pace()})

    def run(
        self, texts: Sequence[Prepared], inspection_plan: Plan | None, clock: Callable[[], float]
    ) -> list[Prediction]:
        """Its predictions; how long they took is learnt."""
        tokens = sum(self.predictor.cost(len(text), inspection_plan) for text in texts)
        began = clock()
        predictions = self.predictor.run(texts, inspection_plan)
        self.paces[kind_of(inspection_plan)].measured(tokens, clock() - began)
        return predictions

    def seconds(self, texts: Sequence[Prepared], inspection_plan: Plan | None) -> float:
        tokens = sum(self.predictor.cost(len(text), inspection_plan) for text in texts)
        return self.paces[kind_of(inspection_plan)].seconds(tokens)


class RoutedPredictor(Predictor):
    """A predictor on the CPU that hands batches to another one, on a card, where that is faster.

    Everything that is not a batch, such as the analyses of one text, stays on the CPU. A certificate names the device
    and the kernel that ran.
    """

    def __init__(
        self,
        cpu: Predictor,
        card: Predictor,
        pace: Callable[[], Pace],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """cpu and card: of the same checkpoint, each with a network of its own."""
        self.__dict__.update(cpu.__dict__)
        self.places = (Place.of_predictor(cpu, pace), Place.of_predictor(card, pace))
        self._clock = clock

    def run(self, texts: Sequence[Prepared], inspection_plan: Plan | None = None) -> list[Prediction]:
        faster = min(self.places, key=lambda place: place.seconds(texts, inspection_plan))
        return faster.run(texts, inspection_plan, self._clock)

    def learn(self, text: str) -> None:
        """Measure both places on batches of this text, from one to many, for each kind of work."""
        plans = [None, plan(Inspection(), self.shape), plan(Inspection(reduce=("mean",)), self.shape)]
        for inspection_plan in plans:
            for count in WARM_UP_TEXTS:
                texts = [self.prepare(text)] * count
                for place in self.places:
                    place.predictor.run(texts, inspection_plan)  # compiles, allocates, fills caches
                    for _ in range(3):
                        place.run(texts, inspection_plan, self._clock)
