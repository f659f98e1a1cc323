"""What several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Footage that lies beside the repository on some machines; tests that need it are skipped
    elsewhere."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared footage beside this repository")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys, ledger and records of a test are its own, never the user's."""
    folder = tmp_path_factory.mktemp("home") / "understudy"
    monkeypatch.setenv("UNDERSTUDY_HOME", str(folder))
    return folder
