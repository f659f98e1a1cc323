"""Commands outside the pipeline: doctor, weights, demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import Own, app


@app.command(sort_key=7)
def doctor(
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    session: Own,
) -> int:
    """Check what this machine offers and what is missing.

    Args:
        as_json: Print JSON.
    """
    from understudy.cli.doctor import doctor as examine

    report = examine(session.folder or Path.cwd())
    if as_json:
        session.say(*json.dumps(report.as_json(), indent=2).split("\n"))
    else:
        for check in report.checks:
            session.say(f"{check.level:<5} {check.name:<11} {check.text}")
            if check.remedy:
                session.say(f"{'':<17} -> {check.remedy}")
        session.say("Everything needed is present." if report.healthy else "Something is missing.")
    return 0 if report.healthy else 1


@app.command(sort_key=8)
def weights(*, session: Own) -> None:
    """Download the third-party weights now, to work offline later."""
    from understudy.faces.weights import store

    with session.progress() as progress:
        store.fetch_all(progress)
    for state in store.status():
        session.say(f"{state.name}: {state.state}, {state.path} ({state.licence})")


@app.command(sort_key=6)
def demo(
    folder: Path = Path("out/demo"),
    *,
    minutes: float | None = None,
    session: Own,
) -> None:
    """Run the whole pipeline on two bundled synthetic people: four minutes on two cores.

    Args:
        folder: Folder to work in.
        minutes: Minutes to train. Default: two.
    """
    from understudy.demo import MINUTES
    from understudy.demo import demo as show

    with session.progress() as progress:
        report = show(folder, MINUTES if minutes is None else minutes, progress)
    session.say(*str(report).split("\n"))
