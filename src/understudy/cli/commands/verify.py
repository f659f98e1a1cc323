"""The command that checks a film or picture: what is proved, broken or unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import Own, app
from understudy.cli.session import tell
from understudy.errors import MediaError, SettingsError, TrustError, UnderstudyError
from understudy.runtime import files as storage
from understudy.runtime.filenames import plain, word
from understudy.runtime.installation import Home

if TYPE_CHECKING:
    from understudy.verification.result import Verification

CODES = """Exit codes:

- 0: intact; unchanged since it was signed by this installation or by a trusted signer
- 20: the signature is valid, but the signer is not on the trusted list
- 21: nothing is proved
- 22: made with this program, and changed afterwards
- 23: there is a contradiction, for example the file was changed after it was signed

With several files, the largest code counts; 5 or 10 if one of them cannot be read."""

Several = Annotated[list[Path] | None, Parameter(negative="")]


@app.command(sort_key=9, help_epilogue=CODES)
def verify(
    *files: Path,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    html: Path | None = None,
    trust: Several = None,
    record: Several = None,
    save_record: Path | None = None,
    save_trust: Path | None = None,
    session: Own,
) -> int:
    """Check a film or picture: what is proved, what is broken and what is unknown.

    Works offline and needs no project.

    Args:
        files: Films and pictures, also from other programs.
        as_json: Print JSON Lines: one line for each file.
        html: Write an HTML page with frames to this file.
        trust: PEM file with certificates or ledger keys to trust, in addition to this
            installation's own. Repeat for each file.
        record: Record that came with a film. Repeat for each record.
        save_record: Write the film's record to this file, to send it along with the film.
        save_trust: Write this installation's certificate and its ledger's public key to this file,
            which others pass to --trust.
    """
    from understudy.verification.verify import verify as verified

    if not files and save_trust is None:
        raise SettingsError("No file is given.", "Name films or pictures: understudy verify FILE")
    if save_record is not None and len(files) != 1:
        raise SettingsError("--save-record works with exactly one film.", "Name one film.")
    home = Home.from_environment()
    if save_trust is not None:
        from understudy.provenance.trusted_signers import write_trust

        key = write_trust(home, save_trust)
        if not as_json:
            session.say(
                f"{save_trust}: this installation's certificate and its ledger's key {key}."
            )
    found: list[Verification] = []
    failed: list[UnderstudyError] = []
    for file in files:
        try:
            with session.progress() as progress:
                found.append(verified(file, home, trust or (), record or (), progress))
        except (MediaError, TrustError) as error:
            if len(files) == 1:
                raise
            failed.append(error)
            if as_json:
                facts = {"file": str(file), "outcome": "error", "summary": error.problem}
                session.say(json.dumps(facts))
            else:
                tell(error.problem, error.remedy)
        else:
            if as_json:
                session.say(json.dumps(found[-1].as_json()))
            else:
                session.say(f"{plain(str(file))}: {found[-1].summary}")
    if not as_json:
        for one in found:
            session.say(*_details(one, named=len(found) > 1))
    if html is not None and found:
        from understudy.verification.page import build

        storage.write_bytes(html, build(found).encode())
        if not as_json:
            session.say("", f"Page: {html}")
    if save_record is not None:
        _save_record(home, found[0], save_record)
        if not as_json:
            session.say(
                "",
                f"{save_record}: the record. With both, and the file of --save-trust, others can "
                "check it offline:",
                f"  understudy verify {word(files[0])} --record {word(save_record)} --trust PEM",
            )
    if failed:
        return max(one.exit_code for one in failed)
    return max((one.exit_code for one in found), default=0)


def _details(one: Verification, named: bool) -> list[str]:
    lines = ["", plain(str(one.file))] if named else []
    for title, told in (
        ("Broken", one.told("broken")),
        ("Proved", one.told("proved")),
        ("Unknown", one.told("unknown")),
    ):
        if told:
            lines += ["", title, *(f"  - {text}" for text in told)]
    return lines


def _save_record(home: Home, one: Verification, path: Path) -> None:
    from understudy.provenance.trusted_signers import write_record

    if one.record is None:
        raise TrustError(
            f"This installation has no record that matches {one.file}.",
            "A record is made together with the film: look on the machine that made the film.",
        )
    write_record(home, one.record, path)
