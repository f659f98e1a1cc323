"""A swap beside its person's footage, with painted people and everything else real."""

from __future__ import annotations

import av
import numpy as np
import pytest

from tests.support.heads import blurred
from tests.support.painted_people import Act, ColourTracker, film
from understudy.evaluation.gauges.footage import FootageDetail, FootageSum
from understudy.facesets.extract import extract
from understudy.facesets.faceset import Faceset
from understudy.progress import silent
from understudy.project import Project
from understudy.settings import ExtractSettings, ScanSettings
from understudy.tracks.scan import Scan, scan
from understudy.types import Image


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Faceset, Scan, list[Image]]:
    """Red's faceset, and the film that it came from, with its faces and frames."""
    folder = tmp_path_factory.mktemp("footage")
    project = Project.create(folder / "project")
    path = film(folder / "red.mp4", 40, [Act("red", 0, 40, 100)])
    project.add("red", [path], consent="synthetic")
    settings = ExtractSettings(), ScanSettings()
    extract(project, "red", *settings, silent(), make_tracker=ColourTracker)
    faces = scan(path, project.cache_folder, settings[1], silent(), make_tracker=ColourTracker)
    with av.open(str(path)) as container:
        frames = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame in container.decode(video=0)
        ]
    return Faceset.open(project.person("red").faces_folder), faces, frames


def measured(
    footage: tuple[Faceset, Scan, list[Image]], change: object = None, gain: float = 1
) -> FootageDetail:
    faceset, faces, frames = footage
    total = FootageSum(faceset)
    assert total.result() is None
    for index in range(0, 40, 4):
        image = frames[index]
        if isinstance(change, float):
            image = blurred(image, change)
        image = np.clip(image * gain, 0, 255).astype(np.uint8)
        total.add(image, faces.faces(index)[0])
    found = total.result()
    assert found is not None
    return found


def test_footage_itself_is_as_crisp_as_footage(
    footage: tuple[Faceset, Scan, list[Image]],
) -> None:
    found = measured(footage)
    assert found.face is not None
    assert found.face == pytest.approx((1, 1, 1), abs=0.2)
    assert found.frames == 10
    assert found.enlarged > 0


def test_blur_shows_and_light_does_not(footage: tuple[Faceset, Scan, list[Image]]) -> None:
    plain, soft, dim = measured(footage), measured(footage, 1.5), measured(footage, gain=0.5)
    assert plain.face is not None
    assert soft.face is not None
    assert dim.face is not None
    assert soft.face[0] < 0.5 * plain.face[0]
    assert soft.face[0] < soft.face[2]
    assert dim.face == pytest.approx(plain.face, rel=0.05)
