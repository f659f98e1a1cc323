from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from understudy.cli import doctor
from understudy.cli.doctor import Check, DoctorReport
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> DoctorReport:
    return doctor.doctor(tmp_path_factory.mktemp("project"))


def found(report: DoctorReport, name: str) -> Check:
    (check,) = (check for check in report.checks if check.name == name)
    return check


def test_everything_is_looked_at(report: DoctorReport) -> None:
    assert [check.name for check in report.checks] == [
        "Python",
        "understudy",
        "torch",
        "device",
        "bfloat16",
        "threads",
        "video",
        "encoders",
        "OpenCV",
        "weights",
        "ledger",
        "guard",
        "disk",
        "memory",
    ]


def test_what_is_not_well_comes_with_a_remedy(report: DoctorReport) -> None:
    for check in report.checks:
        assert check.text
        assert bool(check.remedy) == (check.level != "ok"), check


def test_this_machine_can_run_the_tests(report: DoctorReport) -> None:
    assert found(report, "torch").level == "ok"
    assert "libx264" in found(report, "encoders").text
    assert found(report, "OpenCV").level == "ok"


def test_whether_films_can_be_signed(home: Path) -> None:
    (check,) = doctor._ledger()
    assert (check.level, check.text.split(", in ")[0]) == (
        "ok",
        "starts with the first consent or film",
    )
    with Ledger.open(Home(home)) as log:
        log.append("render", {"record": 1})
    (check,) = doctor._ledger()
    assert check.text.startswith("1 entries, in ")
    Home(home).ledger.write_bytes(b"no ledger")
    (check,) = doctor._ledger()
    assert (check.level, bool(check.remedy)) == ("fail", True)
    shutil.rmtree(home)
    home.write_text("a file in the way")
    (check,) = doctor._ledger()
    assert (check.level, "no film can be signed" in check.text) == ("warn", True)


def test_something_missing_is_no_health() -> None:
    ok, warn = Check("a", "ok", "x"), Check("b", "warn", "x", "y")
    fail = Check("c", "fail", "x", "y")
    assert DoctorReport((ok, warn)).healthy
    assert not DoctorReport((ok, fail)).healthy
    assert DoctorReport((ok, fail)).as_json() == {
        "healthy": False,
        "checks": [
            {"name": "a", "level": "ok", "text": "x", "remedy": ""},
            {"name": "c", "level": "fail", "text": "x", "remedy": "y"},
        ],
    }


def test_a_library_that_cannot_be_imported_is_a_finding() -> None:
    module, why = doctor._import("understudy_has_no_such_module")
    assert module is None
    assert "understudy_has_no_such_module" in why


def test_low_memory_and_disk_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK", 1 << 62)
    monkeypatch.setattr(doctor, "LOW_MEMORY", 1 << 62)
    assert [check.level for check in doctor._disk(tmp_path / "not" / "yet")] == ["warn"]
    assert [check.level for check in doctor._memory()] == ["warn"]
