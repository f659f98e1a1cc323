"""A project with its film commands as methods: tracks, preview, convert."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import SettingsError
from understudy.models.onnx.card import is_exported
from understudy.person import Portrait
from understudy.progress import Progress, silent
from understudy.safeguards.consent_gate import Footing
from understudy.settings import GIVEN, EncodeSettings, take
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.conversion.convert import ConvertReport
    from understudy.conversion.list_tracks import TracksReport
    from understudy.conversion.plan import Ask
    from understudy.conversion.preview import PreviewReport


class ProjectFilms(Workspace):
    """A project folder whose people can be inserted into films and pictures."""

    def tracks(
        self,
        film: Path,
        swaps: Mapping[str, str] | None = None,
        output: Path | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        progress: Progress | None = None,
        **given: Any,
    ) -> TracksReport:
        """List the tracks of `film` in a file that `convert` obeys; see
        `conversion.list_tracks.list_tracks`.

        Args:
            swaps: target: source; written into the file.
            output: the file, .toml; in the renders folder when not given.
            start, end: part of the film in seconds, end excluded; all of it when not given.
            given: fields of ScanSettings; they win over `project.toml`.
        """
        (scan,) = take(given, GIVEN, self.settings.scan)
        from understudy.conversion.list_tracks import list_tracks

        same_person = self.settings.convert.same_person
        progress = progress or silent()
        return list_tracks(self, film, swaps or {}, output, same_person, scan, progress, start, end)

    def preview(
        self,
        film: Path,
        replace: str | Mapping[str, str] = "any",
        with_: str | None = None,
        model: str | None = None,
        output: Path | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        progress: Progress | None = None,
        face: Path | str | None = None,
        consent: Footing | None = None,
        statement: Path | None = None,
        tracks: Path | None = None,
        **given: Any,
    ) -> PreviewReport:
        """A few frames of `film` drawn in all the ways there are, as one picture to choose by
        eye; see `conversion.preview.preview`. Arguments as for `convert`; the film is not
        converted."""
        from understudy.media.probe import check_pages, is_still

        check_pages(film)
        if is_still(film):
            raise SettingsError(
                f"{film.name} is a picture; --preview works only for films.",
                "Convert it directly, as often as you like: understudy convert PICTURE --color ...",
            )
        portrait = _portrait(face, consent, statement)
        ask, _ = self._asked(film, replace, with_, model, portrait, start, end, tracks, given)
        from understudy.conversion.preview import preview

        return preview(self, ask, output, progress or silent())

    def convert(
        self,
        film: Path,
        replace: str | Mapping[str, str] = "any",
        with_: str | None = None,
        model: str | None = None,
        output: Path | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        progress: Progress | None = None,
        face: Path | str | None = None,
        consent: Footing | None = None,
        statement: Path | None = None,
        tracks: Path | None = None,
        **given: Any,
    ) -> ConvertReport:
        """Swap faces in `film`; see `conversion.convert.convert`. If `film` is a picture, the
        output is a picture; see `conversion.still`.

        Args:
            replace: target: a person, or "any" for every face; or target: source, for
                several people at once: `{"ben": "ada", "eva": "chen"}`.
            with_: the source, a person that the model knows; None with several targets.
            model: of the project, or an exported file; the only one of the project when not
                given.
            output: a file in the renders folder when not given.
            start, end: part of the film in seconds, end excluded; all of it when not given.
            face: a photo of the source, without a model: a file, or `FILE#2` for the second
                face from the left; it shows `with_`, or a person with the name of the file.
            consent, statement: on what basis the photo's face may be used, as for `add`; not
                needed for a person of the project.
            tracks: a file made by `tracks`, which names the source for each track; without
                `replace` and `with_`, only its tracks are replaced.
            given: fields of ConvertSettings, EncodeSettings and ScanSettings; they override
                `project.toml`.
        """
        portrait = _portrait(face, consent, statement)
        ask, encode = self._asked(film, replace, with_, model, portrait, start, end, tracks, given)
        from understudy.media.probe import check_pages, is_still

        check_pages(film)
        if is_still(film):
            from understudy.conversion.still import convert_still

            return convert_still(self, ask, output, progress or silent())
        from understudy.conversion.convert import convert

        return convert(self, ask, output, encode, progress or silent())

    def swap_faces(
        self,
        picture: Path,
        output: Path | None = None,
        consent: Footing | None = None,
        statement: Path | None = None,
        **given: Any,
    ) -> ConvertReport:
        """Exchange the two faces in a picture, without a model; see
        `conversion.still.swap_faces`.

        Args:
            output: a file in the renders folder when not given.
            consent, statement: on what basis the faces may be used, as for `add`; not needed
                for people of the project with a faceset.
            given: fields of ConvertSettings and ScanSettings; they override `project.toml`.
        """
        scan, own = take(given, GIVEN, self.settings.scan, self.settings.convert)
        from understudy.conversion.still import swap_faces

        return swap_faces(self, picture, consent, statement, output, own, scan)

    def _asked(
        self,
        film: Path,
        replace: str | Mapping[str, str],
        with_: str | None,
        model: str | None,
        portrait: Portrait | None,
        start: Fraction | None,
        end: Fraction | None,
        tracks: Path | None,
        given: Mapping[str, Any],
    ) -> tuple[Ask, EncodeSettings]:
        """The request for a film, from the arguments of `convert`, and the encode settings."""
        own = self.settings
        scan, encode, settings = take(given, GIVEN, own.scan, own.encode, own.convert)
        from understudy.conversion.plan import Ask
        from understudy.tracks.matching import WARP, parse_swaps

        words = [replace] if isinstance(replace, str) else [f"{a}={b}" for a, b in replace.items()]
        rules = tracks is None or replace not in ("any", {}) or with_ is not None
        swaps = parse_swaps(words, with_, portrait.name if portrait else None) if rules else {}
        if portrait is None and model != WARP and not is_exported(model):
            model = self.model(model)
        return Ask(film, swaps, model, settings, scan, start, end, portrait, tracks), encode


def _portrait(
    face: Path | str | None, consent: Footing | None, statement: Path | None
) -> Portrait | None:
    """The photo of the source, if there is one. Raises SettingsError."""
    if face is not None:
        return Portrait.parse(face, consent, statement)
    if consent or statement:
        raise SettingsError(
            "--consent was given, but no photo that it applies to.", "Give the photo with --face."
        )
    return None
