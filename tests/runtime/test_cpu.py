"""How many cores a process believes it has."""

import os
from pathlib import Path

import pytest

from understudy.runtime import cpu


@pytest.fixture(autouse=True)
def eight_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_a_process_bound_to_some_cores_uses_these() -> None:
    assert cpu.usable() == cpu.Cores(4, "this process may use 4 of 8")


@pytest.mark.parametrize(
    ("text", "number"),
    [("max 100000", 4), ("150000 100000", 2), ("900000 100000", 4), ("20000 100000", 1), ("", 4)],
)
def test_a_quota_limits_the_cores(text: str, number: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text)
    found = cpu.usable()
    assert found.number == number
    assert ("cgroup" in found.why) == (number < 4)


def test_an_older_cgroup_states_its_quota_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("300000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert cpu.usable() == cpu.Cores(3, "a cgroup allows 3 of 4")


@pytest.mark.parametrize(
    ("asked", "number"), [("1", 1), ("3,2", 3), ("9", 4), ("0", 4), ("many", 4), ("", 4)]
)
def test_fewer_threads_may_be_asked_for(
    asked: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cpu.usable().number == number
