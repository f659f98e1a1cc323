"""How long do appends, proofs and an audit take in the ledger?

    python -m benchmarks.ledger

Entries like those of renders go into a fresh ledger: all in one transaction, and one by one, each
on disk and signed for before the next. The latter is bound by the disk's answers, so that
processor time is told as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.common import Line, Result, main
from understudy.provenance.ledger.export import verify_export
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import verify_proof
from understudy.runtime.installation import Home

WRITTEN = 28 << 10
"""Bytes that SQLite writes for one entry: seven pages."""


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of the processor."""

    clock: float
    processor: float


def took(work: Callable[[], object]) -> Took:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - clock, time.process_time() - processor)


def entry(number: int) -> tuple[str, dict[str, str | int]]:
    return "render", {"record": number, "sha256": f"{number:064x}", "model": f"{number:032x}"}


def synced(folder: Path, times: int = 200) -> float:
    """Milliseconds until the disk has a few kilobytes for certain: the least an append can take."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(times):
            os.pwrite(file.fileno(), bytes(WRITTEN), 0)
            os.fdatasync(file.fileno())
        return 1e3 * (time.perf_counter() - began) / times


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--singly", type=int, default=1000, help="appended one by one")


def measure(options: argparse.Namespace, folder: Path) -> Result:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        home = Home(Path(place) / "home")
        with Ledger.open(home) as log:
            everything = [entry(number) for number in range(options.entries)]
            batch = took(lambda: log.append_all(everything))

            def singly() -> None:
                for number in range(options.singly):
                    log.append(*entry(number))

            single = took(singly)
            disk = synced(home.folder)
            leaves = range(0, options.entries, max(1, options.entries // 100))
            proofs = [log.prove(leaf) for leaf in leaves]
            prove = [took(lambda leaf=leaf: log.prove(leaf)).processor for leaf in leaves]  # type: ignore[misc]
            check = [took(lambda one=one: verify_proof(one)).processor for one in proofs]  # type: ignore[misc]
            find = [took(lambda leaf=leaf: log.by_record(leaf)).processor for leaf in leaves]  # type: ignore[misc]
            audit = took(log.audit)
            export = Path(place) / "export.jsonl"
            log.export(export)
        offline = took(lambda: verify_export(export))
        size = home.ledger.stat().st_size
    return Result(
        [
            Line(
                f"{options.entries} appends at once",
                f"{batch.clock:.1f} s ({batch.processor:.1f} s processor)",
                "seconds",
            ),
            Line(
                "one append, on disk and signed for",
                f"{1e3 * single.clock / options.singly:.1f} ms "
                f"({1e3 * single.processor / options.singly:.2f} ms processor)",
            ),
            Line("of that, the disk's own answer", f"{disk:.1f} ms"),
            Line("inclusion proof made", f"{1e3 * statistics.median(prove):.2f} ms"),
            Line("inclusion proof checked", f"{1e3 * statistics.median(check):.2f} ms"),
            Line("entry found by record id", f"{1e3 * statistics.median(find):.2f} ms"),
            Line("audit of everything", f"{audit.processor:.1f} s processor"),
            Line("export checked", f"{offline.processor:.1f} s processor"),
            Line("size on disk", f"{size / 1e6:.1f} MB"),
        ],
        {
            "batch": asdict(batch),
            "single": asdict(single),
            "disk": disk,
            "audit": asdict(audit),
            "offline": asdict(offline),
            "prove": prove,
            "check": check,
            "find": find,
            "bytes": size,
        },
    )


if __name__ == "__main__":
    main("ledger", __doc__, add_arguments, measure)
