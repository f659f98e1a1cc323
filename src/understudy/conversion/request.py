"""What a user wants of a film: who goes, who comes, which part of it, and how it is to look.

    words and settings -> ConversionRequest -> every step of a conversion

A request is parsed once, by the command or the project, and passed on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from understudy.errors import SettingsError
from understudy.models.onnx.card import is_exported
from understudy.safeguards.consent_gate import Footing
from understudy.settings import GIVEN, ConvertSettings, EncodeSettings, ScanSettings, take
from understudy.tracks.matching import EVERYBODY, ORDERED
from understudy.workspace import Workspace, is_name, near_name

_NUMBERED = re.compile(r"(.+)#([0-9]{1,4})")

WARP = "warp"
"""Instead of a model's name: the face of a photo, warped."""


@dataclass(frozen=True)
class Portrait:
    """A photo of somebody whose face is to be seen elsewhere, as the user gives it.

    Attributes:
        photo: a picture file.
        number: which face in it, counted from image left from 1; None when it shows one only.
        consent, statement: on what footing its face may be used, as for `add`; None for a
            person of the project.
    """

    photo: Path
    number: int | None = None
    consent: Footing | None = None
    statement: Path | None = None

    @classmethod
    def parse(
        cls, text: str | Path, consent: Footing | None = None, statement: Path | None = None
    ) -> Self:
        """From `PHOTO` or `PHOTO#2`, the second face from image left."""
        path = Path(text)
        numbered = _NUMBERED.fullmatch(str(text))
        if numbered and not path.exists():
            return cls(Path(numbered[1]), int(numbered[2]), consent, statement)
        return cls(path, None, consent, statement)

    @classmethod
    def given(
        cls, face: str | Path | None, consent: Footing | None, statement: Path | None
    ) -> Self | None:
        """The photo whose face comes, if one does. Raises SettingsError."""
        if face is not None:
            return cls.parse(face, consent, statement)
        if consent or statement:
            raise SettingsError(
                "A footing was given, but no photo that it is for.", "Give the photo with --face."
            )
        return None

    @property
    def name(self) -> str:
        """A person's name made of the file's."""
        near = near_name(self.photo.stem)
        return near if is_name(near) else "somebody"


@dataclass(frozen=True, kw_only=True)
class ConversionRequest:
    """What a user wants of a film.

    Attributes:
        film: to work on.
        swaps: who goes: who comes. Who goes is a person of the project, or "any" for every face
            that no other name claims; who comes is a person that the model knows. Two people
            may take each other's places.
        model: of the project, or an exported file; the only one of the project when None.
        settings, scan, encode: how faces are drawn and found, and films written.
        output: the file to make; named after film and people in the renders folder when None.
        start, end: part of the film in seconds, end excluded.
        portrait: a photo whose face comes, without a network; `model` is "warp" or None. With the
            model "warp" and no photo the pictures of the faceset come.
        tracks: a tracks file, whose orders win over `swaps`; these may be none then.
    """

    film: Path
    swaps: Mapping[str, str]
    model: str | None = None
    settings: ConvertSettings = field(default_factory=ConvertSettings)
    scan: ScanSettings = field(default_factory=ScanSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    output: Path | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    portrait: Portrait | None = None
    tracks: Path | None = None

    @classmethod
    def parse(
        cls,
        project: Workspace,
        film: Path,
        *,
        replace: str | Mapping[str, str],
        with_: str | None = None,
        model: str | None = None,
        output: Path | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        face: Path | str | None = None,
        consent: Footing | None = None,
        statement: Path | None = None,
        tracks: Path | None = None,
        given: Mapping[str, Any],
    ) -> Self:
        """From what is said to `Project.convert`; settings that are not given are the project's.

        Raises:
            SettingsError: it is not clear who goes and who comes, or a setting is wrong.
            UnknownModel: there is no such model, or a choice is needed.
        """
        portrait = Portrait.given(face, consent, statement)
        own = project.settings
        scan, encode, settings = take(given, GIVEN, own.scan, own.encode, own.convert)
        words = [replace] if isinstance(replace, str) else replace
        rules = tracks is None or replace not in (EVERYBODY, {}) or with_ is not None
        swaps = parse_swaps(words, with_, portrait.name if portrait else None) if rules else {}
        if portrait is None and model != WARP and not is_exported(model):
            model = project.model(model)
        return cls(
            film=film,
            swaps=swaps,
            model=model,
            settings=settings,
            scan=scan,
            encode=encode,
            output=output,
            start=start,
            end=end,
            portrait=portrait,
            tracks=tracks,
        )


def check_swaps(swaps: Mapping[str, str]) -> None:
    """Raises SettingsError when `swaps` (who goes: who comes) are none, or no swaps."""
    if not swaps:
        raise SettingsError(
            "--replace is missing.",
            "Name each target and source: --replace ben=ada; or give a photo with --face.",
        )
    for goes, comes in swaps.items():
        if goes == comes:
            raise SettingsError(
                f"{comes} cannot replace {goes}.", "Name two people, or use --replace any."
            )
        if comes == EVERYBODY:
            raise SettingsError(
                f"`{EVERYBODY}` cannot be the source for {goes}.", "Name one person as the source."
            )


def parse_swaps(
    replace: Sequence[str] | Mapping[str, str], with_: str | None, sitter: str | None = None
) -> dict[str, str]:
    """Who is replaced by whom, from words such as `ben=ada`, or names for whom `with_` comes.

    Args:
        replace: the words; or pairs, which are checked alike.
        sitter: whom a photo shows: comes where nobody else is named, for everybody when
            nobody is named to go.

    Raises:
        SettingsError: a word is not a pair, a target has two sources, `with_` is missing or idle.
    """
    said = replace.items() if isinstance(replace, Mapping) else map(_pair, replace)
    pairs: list[tuple[str, str | None]] = list(said)
    if sitter is not None:
        pairs = pairs or [(EVERYBODY, None)]
        if with_ is None and any(comes is None for _, comes in pairs):
            with_ = sitter
    swaps: dict[str, str] = {}
    idle = with_ is not None
    for goes, comes in pairs:
        word = goes if comes is None else f"{goes}={comes}"
        if comes is None:
            if with_ is None:
                raise SettingsError(
                    f"No source is named for the target {goes}.",
                    f"Write --replace {goes}=PERSON, or add --with PERSON.",
                )
            comes, idle = with_, False
        if not goes or not comes:
            raise SettingsError(f"`{word}` is not TARGET=SOURCE.", "Write for example ben=ada.")
        if swaps.get(goes, comes) != comes:
            raise SettingsError(
                f"The target {goes} has two sources, {swaps[goes]} and {comes}.",
                "Name each target once.",
            )
        swaps[goes] = comes
    if idle and swaps:
        raise SettingsError(
            f"Every --replace already names its source, so --with {with_} is not used.",
            "Remove --with.",
        )
    check_swaps(swaps)
    return swaps


def _pair(word: str) -> tuple[str, str | None]:
    """`ben=ada` as a pair; nobody comes for `ben` alone."""
    goes, pair, comes = word.partition("=")
    return goes, comes if pair else None


def in_name(swaps: Mapping[str, str]) -> dict[str, str]:
    """Swaps as they stand in the name of a file: tracks by order are taken together."""
    comes = sorted({swaps[goes] for goes in swaps if goes.startswith(ORDERED)})
    rest = {goes: comes for goes, comes in swaps.items() if not goes.startswith(ORDERED)}
    return {**rest, **({"tracks": "-".join(comes)} if comes else {})}


def tell_swaps(swaps: Mapping[str, str]) -> str:
    """In words: "ben by ada, eva by chen"."""
    return ", ".join(f"{goes} by {comes}" for goes, comes in swaps.items())
