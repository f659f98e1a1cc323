from __future__ import annotations

import os
from pathlib import Path

import pytest

from understudy import doctor
from understudy.doctor import Check, DoctorReport


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


@pytest.mark.parametrize(
    ("text", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("", None)]
)
def test_a_quota_limits_the_cores(
    text: str, quota: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(doctor, "_CGROUP", tmp_path)
    assert doctor._cgroup_cores() == quota
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    number, why = doctor.cores()
    assert number == (4 if quota is None else 2)
    assert ("cgroup allows 1.5 of 4" in why) == (quota is not None)


def test_more_threads_than_cores_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_cgroup_cores", lambda: 0.5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    (check,) = doctor._threads()
    assert check.level == "warn"
    assert "3 for 1 cores" in check.text


def test_low_memory_and_disk_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK", 1 << 62)
    monkeypatch.setattr(doctor, "LOW_MEMORY", 1 << 62)
    assert [check.level for check in doctor._disk(tmp_path / "not" / "yet")] == ["warn"]
    assert [check.level for check in doctor._memory()] == ["warn"]
