"""kill -9 at random moments: nothing is lost, and the result is that of an uninterrupted run.

UNDERSTUDY_KILLS sets how many processes of each stage are killed (20).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.conversion_project import essence
from tests.support.studio import CONVERT, TRAIN, build, command, painted, start
from understudy.facesets.faceset import Faceset
from understudy.models.checkpoint import checkpoints, load, load_model
from understudy.provenance.credentials import credentials
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home

KILLS = int(os.environ.get("UNDERSTUDY_KILLS", "20"))

Result = dict[str, Any]


@pytest.fixture(autouse=True)
def _painted() -> Iterator[None]:
    with painted():
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project and a scene; start from a copy of it."""
    folder = tmp_path_factory.mktemp("killed")
    build(folder)
    return folder


def contents(folder: Path) -> Result:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def kill_again_and_again(
    project: Path,
    words: tuple[str | Path, ...],
    seed: int,
    look: Callable[[], None],
    result: Callable[[], Result],
    wipe: Callable[[], None],
) -> None:
    """Kill processes that run one command, each going on where the one before was killed.

    Whenever a command gets to its end, and at the last, its result must be that of the first
    run, which is left alone; then all that it made is wiped out.

    Args:
        look: after every kill, asserts that nothing half-written looks whole.
    """
    chance = random.Random(seed)
    wipe()
    start(project, *words).join()  # the server loads its modules now
    expected = result()
    wipe()
    began = time.monotonic()
    process = start(project, *words)
    process.join()
    length = time.monotonic() - began
    assert process.exitcode == 0
    assert result() == expected
    wipe()
    killed = 0
    while killed < KILLS:
        process = start(project, *words)
        process.join(chance.uniform(0, 0.7 * length))
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            killed += 1
            look()
        else:
            assert process.exitcode == 0
            assert result() == expected
            wipe()
    assert command(project, *words) == 0
    assert result() == expected


@pytest.mark.slow
def test_extract(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path, symlinks=True, dirs_exist_ok=True)
    project = tmp_path / "project"
    faces = project / "people" / "red" / "faces"

    def look() -> None:
        if (faces / "faces.parquet").exists():
            faceset = Faceset.open(faces)
            assert len(faceset) == 45
            assert not faceset.damaged
            assert not faceset.missing

    def wipe() -> None:
        shutil.rmtree(faces, ignore_errors=True)
        shutil.rmtree(project / "cache", ignore_errors=True)

    kill_again_and_again(project, ("extract", "red"), 1, look, lambda: contents(faces), wipe)


@pytest.mark.slow
def test_train(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path, symlinks=True, dirs_exist_ok=True)
    project = tmp_path / "project"
    model = project / "models" / "duo"
    words = (*TRAIN, "--steps", "16", "--report-every", "0.02")

    def look() -> None:
        for folder in checkpoints(model):
            load(folder)
        if checkpoints(model):
            assert load_model(model).people == ("red", "blue")

    def result() -> Result:
        snapshot = load(checkpoints(model)[0])
        assert snapshot.state["step"] == 16
        values = [*snapshot.model.state_dict().items(), *snapshot.average.state_dict().items()]
        return {
            f"{number} {name}": value.numpy().tobytes()
            for number, (name, value) in enumerate(values)
        }

    def wipe() -> None:
        shutil.rmtree(model, ignore_errors=True)

    kill_again_and_again(project, words, 2, look, result, wipe)


@pytest.mark.slow
def test_convert(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path, symlinks=True, dirs_exist_ok=True)
    project = tmp_path / "project"
    renders = project / "renders"
    words = ("convert", tmp_path / "scene.mp4", *CONVERT, "--side-by-side", "--matte")
    whole: Result = {}

    def look() -> None:
        for path in renders.glob("[!.]*"):
            if path.suffix in (".mp4", ".mkv"):
                seen = credentials.read(path)
                assert seen.intact, "half a file looks whole"
                assert seen.facts is not None
                unsigned = seen.facts.unsigned_sha256
                assert whole.setdefault(path.name, unsigned) == unsigned

    def result() -> Result:
        found = essence(renders)
        assert not list(renders.glob(".*.*")), "leftovers"
        whole.update(found)
        return found

    def wipe() -> None:
        shutil.rmtree(renders, ignore_errors=True)
        shutil.rmtree(project / "cache", ignore_errors=True)

    kill_again_and_again(project, words, 3, look, result, wipe)
    with Ledger.open(Home.from_environment(), write=False) as ledger:
        assert ledger.audit().intact
        last = {str(entry.values["kind"]) for entry in ledger.latest(2)}
    assert last == {"render", "finished"}
