"""A project with every stage as a method.

    project = Project.create(Path("my-film"))
    project.add("ada", [Path("ada.mp4")], consent="self")
    project.extract("ada")
    project.train(["ada", "chen"], name="duo", minutes=10)
    project.convert(Path("film.mp4"), replace="chen", with_="ada", model="duo")

Settings that are not given come from `project.toml`, and otherwise from the defaults.

The module is long because the front door has one method for each stage, with the arguments that
people give spelled out; each method only resolves names and calls its stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.conversion.request import ConversionRequest
from understudy.errors import FacesError, SettingsError
from understudy.progress import Progress, silent
from understudy.safeguards.consent_gate import Footing
from understudy.settings import GIVEN, take
from understudy.workspace import Workspace, check_name

if TYPE_CHECKING:
    from understudy.conversion.convert import ConvertReport
    from understudy.conversion.list_tracks import TracksReport
    from understudy.conversion.preview import PreviewReport
    from understudy.evaluation.comparison.compare import CompareReport
    from understudy.evaluation.evaluate import EvaluateReport
    from understudy.evaluation.inspection.explain import ExplainReport
    from understudy.evaluation.inspection.imagine import ImagineReport
    from understudy.facesets.extract import ExtractReport
    from understudy.facesets.footage import AddReport
    from understudy.facesets.imports.import_faces import ImportReport
    from understudy.models.onnx.card import Kind
    from understudy.people.decoders import DecoderReport
    from understudy.people.export import ExportReport
    from understudy.people.remove import RemovalReport
    from understudy.training.pretrain import PretrainReport
    from understudy.training.train import TrainReport


class Project(Workspace):
    """A project folder whose stages can be run."""

    def add(
        self,
        person: str,
        sources: Sequence[Path],
        consent: Footing | None = None,
        statement: Path | None = None,
        progress: Progress | None = None,
    ) -> AddReport:
        """Add footage of `person`; see `facesets.footage.add`."""
        if person in self.people:
            self.check_not_removed(person)
        from understudy.facesets.footage import add

        return add(self, person, sources, consent, statement, progress or silent())

    def extract(self, person: str, progress: Progress | None = None, **given: Any) -> ExtractReport:
        """Detect, track and align the person's face in the footage; see `facesets.extract.extract`.

        `given` are fields of ExtractSettings and ScanSettings; they override `project.toml`.
        """
        scan, own = take(given, GIVEN, self.settings.scan, self.settings.extract)
        from understudy.facesets.extract import extract

        return extract(self, person, own, scan, progress or silent())

    def train(
        self,
        people: Sequence[str] = (),
        name: str | None = None,
        progress: Progress | None = None,
        *,
        add: Sequence[str] = (),
        freeze_encoder: bool = False,
        **given: Any,
    ) -> TrainReport:
        """Train a model on the facesets of `people`; see `training.train.train`.

        Args:
            people: when empty, the people of the model, or everyone with a faceset.
            name: of the model; the people's names joined by "-" when not given, with `add` the
                only model of the project.
            add: people to add to the model; `people` is then empty.
            freeze_encoder: train only the decoders of the people added.
            given: fields of TrainSettings; they override `project.toml`.
        """
        (own,) = take(given, GIVEN, self.settings.train)
        people = list(people)
        if add or freeze_encoder:
            name = self.model(name)
        elif name is None:
            people = people or self._everybody()
            name = "-".join(self.person(person).name for person in people)
        from understudy.conversion.rehearsal import Rehearsal
        from understudy.training.train import train

        return train(
            self,
            people,
            check_name(name, "model"),
            own,
            progress or silent(),
            add=add,
            freeze=freeze_encoder,
            rehearse=Rehearsal,
        )

    def pretrain(
        self,
        people: Sequence[str] = (),
        name: str = "base",
        output: Path | None = None,
        progress: Progress | None = None,
        *,
        aside: int = 6,
        labels: Path | None = None,
        **given: Any,
    ) -> PretrainReport:
        """Train a base on the facesets of many people; see `training.pretrain.pretrain`.

        Args:
            people: when empty, everyone with a faceset.
            name: of the model that is trained.
            output: the base file; NAME.safetensors in the exports folder when None.
            aside: number of people held out for evaluation.
            labels: known values for the frames; see `training.labels`.
            given: fields of TrainSettings; they override `project.toml`.
        """
        (own,) = take(given, GIVEN, self.settings.train)
        name = check_name(name, "model")
        output = output or self.exports_folder / f"{name}.safetensors"
        from understudy.training.pretrain import pretrain

        return pretrain(self, people, name, own, aside, output, progress, labels)

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
            swaps: who goes: who comes; written into the file.
            output: the file, .toml; in the renders folder when not given.
            start, end: part of the film in seconds, end excluded; all of it when not given.
            given: fields of ScanSettings; they win over `project.toml`.
        """
        (scan,) = take(given, GIVEN, self.settings.scan)
        from understudy.conversion.list_tracks import list_tracks

        request = ConversionRequest(
            film=film,
            swaps=swaps or {},
            settings=self.settings.convert,
            scan=scan,
            output=output,
            start=start,
            end=end,
        )
        return list_tracks(self, request, progress or silent())

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
        _check_moves(film)
        request = ConversionRequest.parse(
            self,
            film,
            replace=replace,
            with_=with_,
            model=model,
            output=output,
            start=start,
            end=end,
            face=face,
            consent=consent,
            statement=statement,
            tracks=tracks,
            given=given,
        )
        from understudy.conversion.preview import preview

        return preview(self, request, progress or silent())

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
        """Swap faces in `film`; see `conversion.convert.convert`. A picture may take the place of
        the film and becomes a picture; see `conversion.still`.

        Args:
            replace: who goes: a person, or "any" for every face; or who goes by whom, for
                several people at once: `{"ben": "ada", "eva": "chen"}`.
            with_: who comes, a person that the model knows; left out with several.
            model: of the project, or an exported file; the only one of the project when not
                given.
            output: a file in the renders folder when not given.
            start, end: part of the film in seconds, end excluded; all of it when not given.
            face: a photo whose face comes, without a model: a file, or `FILE#2` for the second
                face from the left; it shows `with_`, or somebody called as the file is.
            consent, statement: on what footing the photo's face may be used, as for `add`; not
                needed for a person of the project.
            tracks: a file that `tracks` made, which says who comes in each track; with
                `replace` and `with_` left out nobody else goes.
            given: fields of ConvertSettings, EncodeSettings and ScanSettings; they win over
                `project.toml`.
        """
        request = ConversionRequest.parse(
            self,
            film,
            replace=replace,
            with_=with_,
            model=model,
            output=output,
            start=start,
            end=end,
            face=face,
            consent=consent,
            statement=statement,
            tracks=tracks,
            given=given,
        )
        from understudy.media.probe import check_pages, is_still

        check_pages(film)
        if is_still(film):
            from understudy.conversion.still import convert_still

            return convert_still(self, request, progress or silent())
        from understudy.conversion.convert import convert

        return convert(self, request, progress or silent())

    def swap_faces(
        self,
        picture: Path,
        output: Path | None = None,
        consent: Footing | None = None,
        statement: Path | None = None,
        **given: Any,
    ) -> ConvertReport:
        """Let the two faces in a picture change places, without a model; see
        `conversion.still.swap_faces`.

        Args:
            output: a file in the renders folder when not given.
            consent, statement: on what footing the faces may be used, as for `add`; not needed
                for people of the project with a faceset.
            given: fields of ConvertSettings and ScanSettings; they win over `project.toml`.
        """
        scan, own = take(given, GIVEN, self.settings.scan, self.settings.convert)
        from understudy.conversion.still import swap_faces

        return swap_faces(
            self,
            picture,
            consent=consent,
            statement=statement,
            output=output,
            settings=own,
            scan_settings=scan,
        )

    def export_person(
        self,
        person: str,
        model: str | None = None,
        output: Path | None = None,
        progress: Progress | None = None,
        *,
        gallery: bool = True,
    ) -> DecoderReport:
        """Write a person's decoder to a file; see `people.decoders.export_person`.

        Args:
            model: the only model of the project when not given.
            output: a file in the folder `exports` when not given.
            gallery: include the person's gallery, if the model has one.
        """
        from understudy.people.decoders import export_person

        progress = progress or silent()
        return export_person(self, person, self.model(model), output, progress, gallery)

    def import_person(
        self,
        file: Path,
        model: str | None = None,
        statement: Path | None = None,
        progress: Progress | None = None,
    ) -> DecoderReport:
        """Add a decoder from such a file to a model; see `people.decoders.import_person`.

        Args:
            model: the only model of the project when not given.
            statement: the written agreement, for a person new to the project with basis granted.
        """
        from understudy.people.decoders import import_person

        return import_person(self, file, self.model(model), statement, progress or silent())

    def remove_person(self, person: str, progress: Progress | None = None) -> RemovalReport:
        """Remove everything that the project has of a person; see
        `people.remove.remove_person`."""
        from understudy.people.remove import remove_person

        return remove_person(self, person, progress or silent())

    def evaluate(
        self,
        model: str | None = None,
        film: Path | None = None,
        swap: Path | None = None,
        replace: str | None = None,
        with_: str | None = None,
        truth: Path | None = None,
        truth_mask: Path | None = None,
        target_mask: Path | None = None,
        output: Path | None = None,
        progress: Progress | None = None,
        baseline: Path | None = None,
        **given: Any,
    ) -> EvaluateReport:
        """Measure a model, and a swap made with it; see `evaluation.evaluate.evaluate`.

        Args:
            model: the only model of the project when not given.
            film, swap: the film before and after conversion.
            replace, with_: target and source of `swap`.
            truth: what `swap` should look like, if that is known.
            truth_mask, target_mask: films that are white where the face is in `truth` and `film`.
            output: folder for the figures and the page; the renders folder when not given.
            baseline: another swap of the same film, to compare with.
            given: fields of EvaluateSettings; they override `project.toml`.
        """
        (own,) = take(given, GIVEN, self.settings.evaluate)
        from understudy.evaluation.evaluate import evaluate

        return evaluate(
            self,
            self.model(model),
            film=film,
            swap=swap,
            replace=replace,
            with_=with_,
            truth=truth,
            truth_mask=truth_mask,
            target_mask=target_mask,
            output=output,
            settings=own,
            progress=progress or silent(),
            baseline=baseline,
        )

    def compare(
        self,
        people: Sequence[str] = (),
        film: Path | None = None,
        replace: str | None = None,
        with_: str | None = None,
        face: Path | str | None = None,
        truth: Path | None = None,
        truth_mask: Path | None = None,
        target_mask: Path | None = None,
        output: Path | None = None,
        progress: Progress | None = None,
        **given: Any,
    ) -> CompareReport:
        """Compare networks; see `evaluation.comparison.compare.compare`. It starts
        processes: a program calls this under `if __name__ == "__main__":`.

        Args:
            people: to train on; when empty, everyone with a faceset.
            film: to swap faces in.
            replace, with_: target and source; when None the second and the first of `people`.
            face: photo of the source, for the warp; when None chosen from the footage.
            truth, truth_mask, target_mask: as for `evaluate`.
            output: a folder in the renders folder when not given.
            given: fields of CompareSettings; they override `project.toml`.
        """
        (own,) = take(given, GIVEN, self.settings.compare)
        from understudy.evaluation.comparison.compare import compare

        return compare(
            self,
            people,
            own,
            film=film,
            replace=replace,
            with_=with_,
            face=None if face is None else str(face),
            truth=truth,
            truth_mask=truth_mask,
            target_mask=target_mask,
            output=output,
            progress=progress or silent(),
        )

    def imagine(
        self,
        model: str | None = None,
        person: str | None = None,
        output: Path | None = None,
        progress: Progress | None = None,
        **given: Any,
    ) -> ImagineReport:
        """Sample faces from a model's latents; see `evaluation.inspection.imagine.imagine`.

        Args:
            model: the only model of the project when not given.
            person: when None, each person of the model.
            output: a folder in the renders folder when not given.
            given: fields of ImagineSettings; they override `project.toml`.
        """
        (own,) = take(given, GIVEN, self.settings.imagine)
        from understudy.evaluation.inspection.imagine import imagine

        return imagine(self, self.model(model), person, output, own, progress or silent())

    def explain(
        self,
        model: str | None = None,
        output: Path | None = None,
        progress: Progress | None = None,
        film: Path | None = None,
        **given: Any,
    ) -> ExplainReport:
        """Show the inside of a model; see `evaluation.inspection.explain.explain`.

        Args:
            model: the only model of the project when not given.
            output: a folder in the renders folder when not given.
            film: report which gallery pictures it would use, and which are missing.
            given: fields of ExplainSettings; they override `project.toml`.
        """
        (own,) = take(given, GIVEN, self.settings.explain)
        from understudy.evaluation.inspection.explain import explain

        return explain(self, self.model(model), output, own, progress or silent(), film)

    def export(
        self,
        person: str,
        model: str | None = None,
        kind: Kind = "dfm",
        replace: str | None = None,
        output: Path | None = None,
        progress: Progress | None = None,
    ) -> ExportReport:
        """Write a trained person as one file for other programs; see `people.export.export`.

        Args:
            model: the only model of the project when not given.
            kind: "dfm" or "onnx".
            replace: target whose mask of the replaced face goes into the file.
            output: a file in the project's folder `exports` when not given.
        """
        from understudy.people.export import export

        return export(self, person, self.model(model), kind, replace, output, progress or silent())

    def import_faces(
        self,
        person: str,
        sources: Sequence[Path],
        consent: Footing | None = None,
        statement: Path | None = None,
        progress: Progress | None = None,
        **given: Any,
    ) -> ImportReport:
        """Add faces that another program cut out to a faceset; see
        `facesets.imports.import_faces.import_faces`.

        Args:
            sources: pictures and folders of them.
            given: fields of ExtractSettings and ScanSettings; they override `project.toml`.
        """
        scan, own = take(given, GIVEN, self.settings.scan, self.settings.extract)
        from understudy.facesets.imports.import_faces import import_faces

        return import_faces(
            self, person, sources, consent, statement, own, scan, progress or silent()
        )

    def _everybody(self) -> list[str]:
        """Everyone with a faceset. Raises FacesError when no one has one."""
        if people := self.people_with_faces:
            return people
        raise FacesError(
            f"No person in {self.folder} has a faceset yet.", "Run: understudy extract"
        )


def _check_moves(film: Path) -> None:
    """Raises SettingsError for a picture, MediaError for one of several pages."""
    from understudy.media.probe import check_pages, is_still

    check_pages(film)
    if is_still(film):
        raise SettingsError(
            f"{film.name} is a picture; a preview is made of moments of a film.",
            "Convert it at once, as often as you like: understudy convert PICTURE --color ...",
        )
