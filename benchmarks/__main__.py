"""All benchmarks, one after the other, and one table of what they found.

python -m benchmarks                     all, within half an hour on two idle cores
python -m benchmarks --minutes 2 5 10 20 40
python -m benchmarks --only extraction conversion
python -m benchmarks.swap --help         one alone, with its own options
python -m benchmarks.people              several people in one model; long, never part of all
python -m benchmarks.base                with and without the base; long, never part of all
python -m benchmarks.film                the film itself, plain and with the defaults
python -m benchmarks.chosen              who is changed in films of several people, frame by frame
python -m benchmarks.occlusion           what is in front of faces
python -m benchmarks.trust               what marks, signatures and the ledger withstand
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from types import ModuleType

from benchmarks import conversion, detection, extraction, memory, swap, training
from benchmarks.common import OUT, Line, machine, parser_for, run, table
from understudy.runtime import files

ALL: dict[str, ModuleType] = {
    "extraction": extraction,
    "conversion": conversion,
    "training": training,
    "memory": memory,
    "detection": detection,
    "swap": swap,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(ALL), default=list(ALL))
    parser.add_argument("--minutes", nargs="+", default=["2", "5"], help="of training in swap")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results")
    given = parser.parse_args()
    here = machine()
    print(json.dumps(here, indent=2))
    if here["load"] > 0.5:
        print(f"Other programs are busy (load {here['load']:.1f}); times will be off.")
    shutil.rmtree(given.out / "work", ignore_errors=True)
    lines: list[Line] = []
    skipped: list[str] = []
    for name in given.only:
        module = ALL[name]
        words = ["--out", str(given.out)]
        words += ["--minutes", *given.minutes] if name == "swap" else []
        options = parser_for(module.__doc__ or "", module.add_arguments).parse_args(words)
        result = run(name, module.measure, options)
        if result is None:
            skipped.append(name)
        else:
            lines += result.lines
    text = table(lines)
    files.write_bytes(given.out / "bench.md", text.encode() + b"\n")
    print(f"\n{text}\n\nResults: {given.out}")
    if skipped:
        print(f"Skipped: {', '.join(skipped)}")


if __name__ == "__main__":
    main()
