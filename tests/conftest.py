"""What several tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forged_ledgers import fill
from understudy.runtime.installation import Home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Footage that lies beside the repository on some machines; tests that need it are skipped
    elsewhere."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared footage beside this repository")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _first_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For what is built once for several tests, before any of them has a home of its own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("UNDERSTUDY_HOME", str(tmp_path_factory.mktemp("home") / "understudy"))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys, ledger and records of a test are its own, never the user's."""
    folder = tmp_path_factory.mktemp("home") / "understudy"
    monkeypatch.setenv("UNDERSTUDY_HOME", str(folder))
    return folder


@pytest.fixture
def at(home: Path) -> Home:
    """The same, as the package takes it; nothing is there yet."""
    return Home(home)


@pytest.fixture
def filled(at: Home) -> Home:
    """With a ledger of some entries."""
    return fill(at)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of the kind `swift` are the tiniest there are."""
    from understudy.models import base  # loads torch, which most tests do without

    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, a model and a scene, as `studio` makes them; for `folder`."""
    from tests.support.studio import build  # loads torch

    folder = tmp_path_factory.mktemp("built")
    build(folder)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A copy of what was built, which a test may change."""
    shutil.copytree(built, tmp_path, symlinks=True, dirs_exist_ok=True)
    capsys.readouterr()
    return tmp_path
