"""How a network is trained unless the settings say otherwise: rates, batches, augmentation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Color = Literal["matrix", "lab", "none"]


@dataclass(frozen=True)
class Augmentation:
    """How strongly pictures are varied. All draws are uniform but the warp's, which is normal.

    Attributes:
        rotation: largest angle, degrees, either way.
        zoom: largest change of scale, as a share, either way.
        shift: largest shift along each axis, as a share of the side, either way.
        flip: probability of mirroring.
        color: `matrix` varies gain, tint, saturation, offset and gamma, cheaply; `lab` is the
            field's recipe (lightness +-30 %, a and b +-8 %, and local contrast equalisation
            with probability one half), slowly; `none` leaves colours alone.
        strength: scales the variation of `matrix`.
        warp: standard deviation of the shift of the control points of the input's 5x5 warp
            grid, as a share of the side.
        doubles: share of the inputs in which another person stands in; see `training/doubles.py`.
        double_eyes: whether something is learned from the eyes of these, too. A double cannot open
            or shut an eye, nor look elsewhere.
    """

    rotation: float = 10.0
    zoom: float = 0.05
    shift: float = 0.05
    flip: float = 0.5
    color: Color = "matrix"
    strength: float = 1.0
    warp: float = 5 / 256
    doubles: float = 0.0
    double_eyes: bool = True


@dataclass(frozen=True)
class Recipe:
    """How a network is trained unless the settings say otherwise.

    Attributes:
        batch: faces of each person in a step.
        at_once: people in a step, where there are more of them; they take turns.
        learning_rate: peak of the schedule.
        betas, weight_decay: of Adam with decoupled weight decay (Loshchilov and Hutter,
            "Decoupled weight decay regularization", 2019); plain Adam when the decay is 0.
        warmup: steps over which the learning rate rises to its peak.
        cosine: whether it then falls along a half cosine over the budget, to `floor` of the
            peak; constant otherwise.
        bfloat16: whether the network may run in bfloat16 (weights stay in float32).
        clip: largest norm of the gradient.
        ema: decay of the moving average of the weights, reached by and by.
        augmentation: how the pictures are varied.
        based: factor on the learning rate of the encoder when it began with a base: it has
            seen more than it will learn.
        apart: how much of a decoder's step is its own in the end (`decoder_tying`), when it began
            with a base that knows everyone's faces.
    """

    batch: int
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float = 0.0
    warmup: int = 0
    cosine: bool = True
    floor: float = 0.02
    bfloat16: bool = True
    clip: float = 1.0
    ema: float = 0.999
    augmentation: Augmentation = field(default_factory=Augmentation)
    at_once: int | None = None
    based: float = 1.0
    apart: float = 1.0
