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
"""How messages name settings that a program passed."""

S = TypeVar("S", bound="Settings")
Sections = TypeVarTuple("Sections")

Network = Literal["swift", "original", "autoencoder", "vae", "modulated"]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    alternatives: ClassVar[frozenset[str]] = frozenset()
    """Fields that exclude each other; giving one clears the others."""


class ScanSettings(Settings):
    """How faces are detected and tracked in a film."""

    detect_every: Annotated[int, Field(ge=1, le=100)] = 10
    """Detect faces in every n-th frame; in the frames between, faces are tracked."""

    min_face: Annotated[int, Field(ge=12)] = 24
    """Ignore faces narrower than this, in pixels."""


class ExtractSettings(Settings):
    """What goes into a faceset."""

    size: Annotated[int, Field(ge=256, le=1024, multiple_of=32)] = 1024
    """Largest side of the aligned face crops, in pixels. Each face is stored at the size it has in
    the film, from 256 pixels up to this."""

    every: Annotated[int, Field(ge=1)] = 1
    """Keep only every n-th frame."""

    format: Literal["webp", "png"] = "webp"
    """File format of the crops: webp (a tenth of the size) or png (lossless)."""

    same_person: Annotated[float, Field(gt=0, le=1.5)] = 0.55
    """Largest distance of identity embeddings at which two tracks count as the same person."""


class EncodeSettings(Settings):
    """How films are written."""

    codec: str = "libx264"
    """Video encoder: libx264, libx265, libsvtav1, libvpx-vp9 or another that `understudy
    doctor` lists."""

    crf: Annotated[int, Field(ge=0, le=63)] = 18
    """Quality: smaller numbers mean better quality and larger files; 18 looks lossless with
    libx264."""

    preset: str = "medium"
    """Speed preset of the encoder."""

    place: bool = False
    """Keep the GPS location stored in the film. It can show where someone lives."""


class TrainSettings(Settings):
    """How a model is trained."""

    alternatives = frozenset({"minutes", "steps"})

    network: Network = "swift"
    """swift (the standard choice), original (the 2017 baseline of the field), vae (its latents can
    be sampled: see `understudy imagine`), modulated (one decoder, tuned to each of dozens of
    people) or autoencoder (one decoder for all people; cannot swap)."""

    size: Annotated[int, Field(ge=64, le=512, multiple_of=32)] = 128
    """Width and height of the network's image in pixels; `original` is always 64."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes to train. Default when neither minutes nor steps are given: 10, or 5 if the base
    already covers all faces well."""

    steps: Annotated[int, Field(ge=1)] | None = None
    """Number of training steps in total, instead of minutes."""

    batch: Annotated[int, Field(ge=1, le=512)] | None = None
    """Faces of each person in one step. Default: chosen by the network."""

    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed gives the same model on the same machine."""

    base: str = "shipped"
    """Initial weights of a new swift model: shipped (a base in this package, trained on many
    synthetic people; 128 pixels), none, or a file made by `understudy pretrain`."""

    encoder_from: str | None = None
    """Start a new model with the encoder of this model, which must have the same size. The
    encoders of swift, vae and autoencoder are compatible."""

    decoder_from: Literal["alike", "mean", "scratch"] = "alike"
    """Initial decoder of a person added to a model: alike (the decoder in it that redraws the new
    face best), mean (the mean of all decoders) or scratch (new weights)."""

    gallery: bool = True
    """Store a gallery inside the model: up to 200 pictures of each person, from which swaps take
    fine detail."""

    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of the footage kept out of training for validation, in whole segments."""

    report_every: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between checkpoints, each with a preview sheet and validation figures."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the network; auto uses bfloat16 if the processor computes it."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.steps is not None:
            raise ValueError("give minutes or steps, not both")
        return self


class ConvertSettings(Settings):
    """How a film is converted."""

    feather: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    """Width of the mask's soft edge, as a share of the face's width."""

    widen: Annotated[float, Field(ge=0, le=0.05)] = 0.016
    """How far to extend the swap beyond the network's mask at hair and background, as a share of
    the crop width; 0 does not extend it."""

    color: Literal["auto", "linear-gain", "light", "reinhard", "seamless", "none"] = "auto"
    """How the swapped face gets the colour of the target's face; auto means light, which also
    follows the direction of the light; linear-gain uses one gain for each channel."""

    blend: Literal["auto", "feather", "bands"] = "auto"
    """How the swap is blended into the frame: feather (a soft edge), bands (coarse detail over a
    wide strip, fine detail over a narrow one) or auto (if the model knows the target: bands on
    skin and a sharp edge at hair and background; otherwise feather)."""

    grain: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Strength of the film's grain on the swapped face: 1 is as strong as in the film, 0 is none.
    A film without grain gets none."""

    detail: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Amount of fine detail added to the drawn face from the source's gallery pictures; 0 leaves
    the face as soft as the network draws it."""

    sharpen: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sharpen the swap until it is as sharp as the target's face in the film, by at most this many
    times its own detail; 0 does not sharpen."""

    steady: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Smooth the position of each face over this many seconds (standard deviation), forwards and
    backwards in time; 0 does not smooth."""

    occlusion: bool = True
    """Keep objects in front of a face visible: hands, microphones, hair, glasses."""

    segment: Annotated[int, Field(ge=10)] = 250
    """Frames in a segment; a stopped conversion continues after the last finished segment."""

    same_person: Annotated[float, Field(gt=0, le=1.5)] = 0.6
    """Largest distance of identity embeddings at which a track counts as the target."""

    side_by_side: bool = False
    """Also write a film that shows original and result side by side."""

    matte: bool = False
    """Also write the alpha mask of the swap as a lossless grey film."""

    label: Literal["corner", "opening", "both", "none"] = "corner"
    """Visible label: corner (for the whole film), opening (a card over the first three seconds),
    both, or none (needs --label-reason)."""

    label_reason: str | None = None
    """Reason for leaving out the visible label; it is stored in the signed record."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on."""


class TrustSettings(Settings):
    """How films are signed."""

    certificate: str | None = None
    """PEM file with the certificate chain to sign with, leaf first; needs `key`. Default: this
    installation's own certificate, which no one else trusts."""

    key: str | None = None
    """PEM file with the private key of `certificate`."""

    time_stamps: str | None = None
    """URL of an RFC 3161 time-stamp authority, which confirms when a film was signed."""

    without_time_stamp: bool = False
    """Sign without a time-stamp when the authority cannot be reached, instead of stopping."""

    strength: Annotated[float, Field(ge=38, le=52)] = 46.0
    """Strength of the invisible watermark, as PSNR in dB; a lower value is stronger. If it cannot
    be read back from the film, it is applied again more strongly."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self


class EvaluateSettings(Settings):
    """What is measured."""

    every: Annotated[int, Field(ge=1)] = 1
    """Measure only every n-th frame of a film."""


class ImagineSettings(Settings):
    """How faces are sampled from a model's latent space."""

    samples: Annotated[int, Field(ge=8, le=4096)] = 64
    """Number of random faces drawn from each distribution."""

    frames: Annotated[int, Field(ge=9, le=2000)] = 75
    """Frames of a film from one face to another, and of one pass along a direction."""

    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed draws the same faces."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on."""


class CompareSettings(Settings):
    """Which networks are compared, and for how long each is trained."""

    alternatives = frozenset({"minutes", "steps"})

    models: str = "original,swift,vae,warp"
    """Networks, separated by commas; `warp` uses no network and needs no training."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes to train each. Default when neither minutes nor steps are given: as in [train]."""

    steps: Annotated[int, Field(ge=1)] | None = None
    """Number of training steps for each, instead of minutes."""

    size: Annotated[int, Field(ge=64, le=512, multiple_of=32)] | None = None
    """Width and height of the networks' image in pixels. Default: as in [train]."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.steps is not None:
            raise ValueError("give minutes or steps, not both")
        return self


class ExplainSettings(Settings):
    """How the inside of a model is shown."""

    shown: Annotated[int, Field(ge=1, le=16)] = 4
    """Faces of each person on a sheet."""

    passes: Annotated[int, Field(ge=1, le=1000)] = 15
    """Number of passes for timing a layer; the median counts."""

    format: Literal["png", "webp"] = "png"
    """File format of the sheets."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on."""


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
    """Valid names at `location`."""
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
        where: the file or command that the values come from; used in messages.

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
        raise SettingsError(f"`{key}` in {where}: {message}{got}.", "Correct the value.") from None


def override(section: S, given: Mapping[str, Any], where: str) -> S:
    """`section` with the fields in `given` replaced.

    Raises:
        SettingsError: as `parse`.
    """
    values = section.model_dump()
    if any(given.get(name) is not None for name in section.alternatives):
        values = {name: value for name, value in values.items() if name not in section.alternatives}
    return parse(type(section), {**values, **given}, where)


def take(given: Mapping[str, Any], where: str, *sections: *Sections) -> tuple[*Sections]:
    """`sections` (all of them Settings), each with the values of `given` that belong to it.

    Raises:
        SettingsError: as `parse`; a name that fits no section is reported with the nearest valid
            name.
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
            f"{path} is not valid TOML ({error}).", "Correct it or restore it from a backup."
        ) from error
    return parse(AllSettings, values, str(path))


def template() -> str:
    """The text of a new `project.toml`: every setting with its help and default, as comments."""
    lines = [
        "# Settings of this project. A line that begins with '#' is a comment: remove the '#' and",
        "# change the value to set something. Options on the command line override this file.",
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
