"""Every setting of every stage, with its default and its help. Defaults live nowhere else.

A settings model is at once a stage's command-line flags, its section in `project.toml` and
its API keywords. Unknown keys are errors.
"""

from __future__ import annotations

import difflib
import json
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, TypeVarTuple, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from understudy.errors import SettingsError

GIVEN = "the settings given"
"""What messages call settings that a program gave."""

S = TypeVar("S", bound="Settings")
Sections = TypeVarTuple("Sections")

Network = Literal["swift", "original", "autoencoder", "vae", "modulated"]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    alternatives: ClassVar[frozenset[str]] = frozenset()
    """Fields of which one alone may be given; naming one puts the others aside."""


class ScanSettings(Settings):
    """How faces are found and followed in a film."""

    detect_every: Annotated[int, Field(ge=1, le=100)] = 10
    """Look for new faces every so many frames; in between, faces are followed."""

    min_face: Annotated[int, Field(ge=12)] = 24
    """Ignore faces narrower than this, in pixels."""


class ExtractSettings(Settings):
    """What goes into a faceset."""

    size: Annotated[int, Field(ge=256, le=1024, multiple_of=32)] = 1024
    """Largest side of the aligned crops, in pixels. Each face is stored at the size that its film
    shows, from 256 pixels up to this."""

    every: Annotated[int, Field(ge=1)] = 1
    """Keep every n-th frame only."""

    format: Literal["webp", "png"] = "webp"
    """How crops are stored: webp (a tenth of the size) or png (lossless)."""

    same_person: Annotated[float, Field(gt=0, le=1.5)] = 0.55
    """Largest embedding distance at which two tracks count as the same person."""


class EncodeSettings(Settings):
    """How films are written."""

    codec: str = "libx264"
    """Video encoder: libx264, libx265, libsvtav1, libvpx-vp9 or another that `understudy
    doctor` lists."""

    crf: Annotated[int, Field(ge=0, le=63)] = 18
    """Quality: smaller is better and larger files; 18 is visually lossless with libx264."""

    preset: str = "medium"
    """The encoder's own speed preset."""

    place: bool = False
    """Keep the place where the film was made, where its file tells it; it may tell where somebody
    lives."""


class TrainSettings(Settings):
    """How a model is trained."""

    alternatives = frozenset({"minutes", "steps"})

    network: Network = "swift"
    """swift (ours), original (the field's 2017 baseline), vae (its latents can be made up:
    see `understudy imagine`), modulated (for dozens of people: one decoder, tuned to each) or
    autoencoder (one decoder for everybody: cannot swap)."""

    size: Annotated[int, Field(ge=64, le=512, multiple_of=32)] = 128
    """Side of the network's image in pixels; `original` is always 64."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Train for this long; when neither minutes nor steps are given 10, or 5 where the base knows
    everybody's faces."""

    steps: Annotated[int, Field(ge=1)] | None = None
    """Train for this many steps in all."""

    batch: Annotated[int, Field(ge=1, le=512)] | None = None
    """Faces of each person in a step; the network's own default when not given."""

    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed gives the same model on the same machine."""

    base: str = "shipped"
    """What a new swift begins with: shipped (a network inside this package that has seen many
    synthetic people; 128 pixels), none, or a file that `understudy pretrain` made."""

    encoder_from: str | None = None
    """A new model begins with the encoder of this one, of the same size; swift, vae and
    autoencoder fit one another."""

    decoder_from: Literal["alike", "mean", "scratch"] = "alike"
    """What the decoder of somebody who joins a model begins as: the decoder in it that redraws
    the new face best, the mean of all of them, or new weights."""

    gallery: bool = True
    """Keep a gallery with the model: up to 200 of each person's own pictures, from which swaps take
    their fine detail."""

    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of the footage kept out of training, in whole segments, to measure with."""

    report_every: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between checkpoints with preview sheet and held-out figures."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network; auto takes bfloat16 where the processor has it."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.steps is not None:
            raise ValueError("give minutes or steps, not both")
        return self


class ConvertSettings(Settings):
    """How a film is converted."""

    feather: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    """Softness of the mask's edge, as a share of the face's width."""

    widen: Annotated[float, Field(ge=0, le=0.05)] = 0.016
    """How far past the edge that the network draws a swap goes on where the face that goes ends at
    hair or background, as a share of the network's picture; 0 keeps within what was drawn."""

    color: Literal["auto", "linear-gain", "light", "reinhard", "seamless", "none"] = "auto"
    """How the swapped face takes on the colour of the face it replaces; auto is light, which also
    takes on where the light comes from; linear-gain is one gain for each channel."""

    blend: Literal["auto", "feather", "bands"] = "auto"
    """How a swap passes into the frame: feather (a soft edge), bands (coarse detail over a wide
    strip, fine detail over a narrow one) or auto (bands on skin, where the model knows whose face
    goes, and a crisp edge at hair and background; feather elsewhere)."""

    grain: Annotated[float, Field(ge=0, le=2)] = 1.0
    """How much of the noise of the film's own face a swap gets: 1 is as much, 0 none. A clean film
    gets none."""

    detail: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How much of the detail of the person's own pictures (their gallery) is laid over the drawn
    face; 0 leaves it as soft as the network draws it."""

    sharpen: Annotated[float, Field(ge=0, le=2)] = 0.0
    """A swap is sharpened until it is as sharp as the film's own face, at most by so many times
    its own detail."""

    steady: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Seconds over which the place of a face is smoothed, forwards and backwards (standard
    deviation); 0 leaves it as it was found."""

    occlusion: bool = True
    """Keep what is in front of a face in front: hands, microphones, hair, glasses."""

    segment: Annotated[int, Field(ge=10)] = 250
    """Frames in a segment; a stopped conversion goes on after the last finished segment."""

    same_person: Annotated[float, Field(gt=0, le=1.5)] = 0.6
    """Largest embedding distance at which a track is taken for the person to replace."""

    side_by_side: bool = False
    """Also write a film with source and result next to each other."""

    matte: bool = False
    """Also write the alpha matte as a lossless grey film."""

    label: Literal["corner", "opening", "both", "none"] = "corner"
    """Visible label: corner (the whole film), opening (a card over the first three seconds), both,
    or none, which needs --label-reason."""

    label_reason: str | None = None
    """Why there is no visible label; it goes into the signed record."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


class TrustSettings(Settings):
    """How films are signed."""

    certificate: str | None = None
    """PEM file with a certificate chain to sign with, leaf first; with `key`. Otherwise this
    installation signs with a certificate of its own, which nobody else knows."""

    key: str | None = None
    """PEM file with the private key of `certificate`."""

    time_stamps: str | None = None
    """Address of an RFC 3161 time-stamp authority, which confirms when a film was signed."""

    without_time_stamp: bool = False
    """Sign without a time-stamp when the authority cannot be reached, instead of stopping."""

    strength: Annotated[float, Field(ge=38, le=52)] = 46.0
    """PSNR in dB that the invisible mark leaves at first; less is stronger. Where it cannot be read
    back, the film is marked again more strongly."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self


class EvaluateSettings(Settings):
    """What is measured."""

    every: Annotated[int, Field(ge=1)] = 1
    """Measure every n-th frame of a film only."""


class ImagineSettings(Settings):
    """How a model's latents are looked around in."""

    samples: Annotated[int, Field(ge=8, le=4096)] = 64
    """Faces drawn at random from each distribution."""

    frames: Annotated[int, Field(ge=9, le=2000)] = 75
    """Frames of a film from one face to another, and of one swing along a direction."""

    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed draws the same faces."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


class CompareSettings(Settings):
    """Which networks are compared, and for how long each is trained."""

    alternatives = frozenset({"minutes", "steps"})

    models: str = "original,swift,vae,warp"
    """Networks, with commas between them, and warp, which is none and needs no training."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Train each for this long; what [train] says when neither minutes nor steps are given."""

    steps: Annotated[int, Field(ge=1)] | None = None
    """Train each for this many steps instead."""

    size: Annotated[int, Field(ge=64, le=512, multiple_of=32)] | None = None
    """Side of the networks' image in pixels; what [train] says when not given."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.steps is not None:
            raise ValueError("give minutes or steps, not both")
        return self


class ExplainSettings(Settings):
    """How a model is shown from inside."""

    shown: Annotated[int, Field(ge=1, le=16)] = 4
    """Faces of each person on a sheet."""

    passes: Annotated[int, Field(ge=1, le=1000)] = 15
    """Time of a layer is the median over so many passes."""

    format: Literal["png", "webp"] = "png"
    """How sheets are written."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


class AllSettings(Settings):
    """The sections of `project.toml`."""

    schema_version: Literal[1] = 1
    scan: ScanSettings = ScanSettings()
    extract: ExtractSettings = ExtractSettings()
    encode: EncodeSettings = EncodeSettings()
    train: TrainSettings = TrainSettings()
    convert: ConvertSettings = ConvertSettings()
    trust: TrustSettings = TrustSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    imagine: ImagineSettings = ImagineSettings()
    explain: ExplainSettings = ExplainSettings()
    compare: CompareSettings = CompareSettings()


def _known(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names that would have been right at `location`."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        model = kind
    return list(model.model_fields)


def parse(model: type[S], values: dict[str, Any], where: str) -> S:
    """Check `values` against a settings model.

    Args:
        where: the file or command that the values come from, for the message.

    Raises:
        SettingsError: names the key, what is wrong with it, and the nearest right name.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        location = first["loc"]
        key = ".".join(str(part) for part in location) or "these settings"
        if first["type"] == "extra_forbidden":
            known = _known(model, location)
            near = difflib.get_close_matches(str(location[-1]), known, n=1)
            remedy = (
                f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(sorted(known))}."
            )
            raise SettingsError(f"Unknown setting `{key}` in {where}.", remedy) from None
        got = f", not {first['input']!r}" if location else ""
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"`{key}` in {where}: {message}{got}.", "Correct it.") from None


def override(section: S, given: Mapping[str, Any], where: str) -> S:
    """`section` with the fields in `given` put in their place; what is given wins.

    Raises:
        SettingsError: as `parse`.
    """
    values = section.model_dump()
    if any(given.get(name) is not None for name in section.alternatives):
        values = {name: value for name, value in values.items() if name not in section.alternatives}
    return parse(type(section), {**values, **given}, where)


def take(given: Mapping[str, Any], where: str, *sections: *Sections) -> tuple[*Sections]:
    """`sections`, settings all of them, each with those of `given` that belong to it put in
    their place.

    Raises:
        SettingsError: as `parse`; with the nearest right name for what belongs to none.
    """
    settings = cast(tuple[Settings, ...], sections)
    taken = []
    for section in settings:
        own = {name: given[name] for name in given if name in type(section).model_fields}
        taken.append(override(section, own, where))
    known = sorted(field for section in settings for field in type(section).model_fields)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}."
            raise SettingsError(f"Unknown setting `{name}` in {where}.", remedy)
    return cast(tuple[*Sections], tuple(taken))


def load(path: Path) -> AllSettings:
    """Read a `project.toml`. Raises SettingsError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} cannot be read as TOML ({error}).", "Correct it or restore it from a copy."
        ) from error
    return parse(AllSettings, values, str(path))


def template() -> str:
    """The text of a new `project.toml`: every setting with its help and default, as comments."""
    lines = [
        "# Settings of this project. A line that begins with '#' is a comment: take the '#' away",
        "# and change the value to set something. Flags on the command line win over this file.",
        "",
        f"schema_version = {AllSettings().schema_version}",
    ]
    for section, field in AllSettings.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, Settings)):
            continue
        lines += ["", f"[{section}]"]
        lines += [f"# {line}" for line in (model.__doc__ or "").splitlines()]
        for name, setting in model.model_fields.items():
            text = " ".join((setting.description or "").split())
            lines += ["", *(f"# {line}" for line in textwrap.wrap(text, 88))]
            default = setting.default
            lines.append(
                f"# {name} is not set" if default is None else f"# {name} = {json.dumps(default)}"
            )
    return "\n".join(lines) + "\n"
