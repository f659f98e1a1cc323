"""A film with a gallery, stopped and resumed, is the film that was made in one go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.conversion_project import SEGMENT, convert, essence, studio
from tests.support.heads import texture
from tests.support.painted_people import Act, film
from tests.support.turned_heads import SIDE, gallery
from understudy.conversion.detailer import Detailer
from understudy.media.video import VideoReader
from understudy.models.gallery import Gallery, path_of, write
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.types import Image

FRAMES = 26
YAWS = (-6, -3, 0, 3, 6)
LOSSLESS: dict[str, Any] = {"codec": "ffv1", "matte": True}


class Stage(NamedTuple):
    project: Project
    clip: Path
    own: Gallery


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("made")
    project = studio(folder / "project")
    own = gallery(YAWS, [texture(seed, SIDE) for seed in range(len(YAWS))])
    write(path_of(project.model_folder("duo"), "green"), own, "print")
    acts = [Act("red", 0, FRAMES, 60), Act("blue", 4, FRAMES, 130)]
    return Stage(project, film(folder / "clip.mp4", FRAMES, acts), own)


def fresh(made: Stage, folder: Path) -> Project:
    shutil.copytree(made.project.folder, folder)
    return Project.open(folder)


class _Stop(Exception):
    pass


def pictures(project: Project) -> list[Image]:
    (path,) = (one for one in project.renders_folder.glob("*.mkv") if "matte" not in one.name)
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


@pytest.mark.slow
def test_it_comes_out_the_same(
    made: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[set[tuple[int, int]]] = []
    follow = Detailer.follow

    def told(self: Detailer, *given: Any) -> None:
        follow(self, *given)
        followed.append(set(self.used))

    monkeypatch.setattr(Detailer, "follow", told)
    whole, stopped = (fresh(made, tmp_path / name) for name in ("whole", "stopped"))
    convert(whole, made.clip, **LOSSLESS)

    def stopper(after: int) -> Progress:
        def listen(event: Event) -> None:
            if event.task.startswith("convert") and event.kind == "step" and event.done >= after:
                raise _Stop

        return Progress(listen)

    # In the second segment, and in the third.
    for after in (SEGMENT + 3, 2 * SEGMENT + 2):
        with pytest.raises(_Stop):
            convert(stopped, made.clip, progress=stopper(after), **LOSSLESS)
    convert(stopped, made.clip, **LOSSLESS)
    assert essence(stopped.renders_folder) == essence(whole.renders_folder)
    # Pictures were chosen for the whole track each time, and for no other.
    assert len(followed) == 4
    assert all(one == followed[0] for one in followed)
    assert sorted(index for index, _ in followed[0]) == list(range(FRAMES))
    assert len({track for _, track in followed[0]}) == 1


def test_the_gallery_is_seen_in_the_film_and_told_in_its_record(
    made: Stage, tmp_path: Path
) -> None:
    found, records = [], []
    for detail in (1.0, 0.0):
        project = fresh(made, tmp_path / f"detail {detail}")
        convert(project, made.clip, detail=detail, sharpen=0, grain=0, **LOSSLESS)
        found.append(pictures(project))
        (record,) = project.renders_folder.glob("*.json")
        records.append(json.loads(record.read_bytes()))
    with_, without = found
    assert len(with_) == len(without) == FRAMES
    for one, other in zip(with_, without, strict=True):
        changed = np.abs(one.astype(int) - other).max(-1) > 4
        # The face of red, who stands at the left; blue stays as they are.
        assert changed[:, :95].sum() > 200
        assert not changed[:, 100:].any()
    assert records[0]["model"]["galleries"] == {"green": made.own.sha256}
    assert records[1]["model"]["galleries"] == {}
