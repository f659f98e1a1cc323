"""The state of a training, and the learning rate that follows from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from understudy.models.recipe import Recipe


@dataclass
class State:
    """State of a training; stored in `state.json`.

    Attributes:
        step, seconds: trained so far.
        budget: of the present course, as {"steps": n} or {"minutes": x}.
        alone: people trained on a frozen encoder; empty when all are trained together.
        since_step, since_seconds: its start: with the model, or when the trained people changed.
        phase: step at which the present budget started; warm-up starts there.
        caution: factor on the learning rate, halved at each retreat.
        retreats: how often it returned to a checkpoint.
        held_out: share of the footage kept out.
        facesets: fingerprint of each person's faceset.
        base: SHA-256 of the base that it started with, if any.
        shared: factor on the learning rate of shared weights.
        apart: how much of a decoder's step is its own in the end.
        history: one entry per report: step, seconds, and figures by person.
    """

    budget: dict[str, float]
    held_out: float
    facesets: dict[str, str]
    step: int = 0
    seconds: float = 0.0
    phase: int = 0
    caution: float = 1.0
    retreats: int = 0
    base: str | None = None
    shared: float = 1.0
    apart: float = 1.0
    alone: list[str] = field(default_factory=list)
    since_step: int = 0
    since_seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """From `state.json`; unknown keys are ignored."""
        names = {entry.name for entry in fields(cls)}
        return cls(**{key: value for key, value in saved.items() if key in names})

    def json(self) -> dict[str, Any]:
        """The input of `from_json`."""
        return asdict(self)

    @property
    def spent(self) -> float:
        """Share of the budget that is used up, 0..1."""
        if "steps" in self.budget:
            return min(1.0, (self.step - self.since_step) / self.budget["steps"])
        return min(1.0, (self.seconds - self.since_seconds) / (60 * self.budget["minutes"]))

    @property
    def left(self) -> float:
        """The rest of the budget, in steps or seconds."""
        if "steps" in self.budget:
            return max(0.0, self.budget["steps"] - (self.step - self.since_step))
        return max(0.0, 60 * self.budget["minutes"] - (self.seconds - self.since_seconds))

    def forget(self, person: str) -> None:
        """Remove a person who no longer belongs to the model."""
        self.facesets.pop(person, None)
        for entry in self.history:
            entry["people"].pop(person, None)
        self.history = [entry for entry in self.history if entry["people"]]
        if self.alone == [person]:
            self.begin_course([])
        self.alone = [name for name in self.alone if name != person]

    def begin_course(self, alone: list[str]) -> None:
        """Count the budget and warm up from here."""
        self.alone, self.phase = alone, self.step
        self.since_step, self.since_seconds = self.step, self.seconds


def learning_rate(recipe: Recipe, state: State) -> float:
    """Learning rate of the next step: rises linearly over the warm-up, falls along a half
    cosine over the budget (Loshchilov and Hutter, "SGDR", 2017). A function of the state
    alone."""
    warmup = float(recipe.warmup)
    if "steps" in state.budget:
        end = state.since_step + state.budget["steps"]
        warmup = min(warmup, (end - state.phase) / 10)
    rise = min(1.0, (state.step - state.phase + 1) / (warmup + 1))
    fall = 1.0
    if recipe.cosine:
        fall = recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * state.spent))
    return recipe.learning_rate * state.caution * rise * fall
