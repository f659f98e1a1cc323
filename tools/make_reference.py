"""Write the pages of docs/reference/ that the program itself determines.

    python -m tools.make_reference            writes them
    python -m tools.make_reference --check    says whether they are current; exit code 1 if not

Three pages come out: the commands (`cli.md`), the settings (`settings.md`) and the exit codes
(`exit-codes.md`). They are part of the repository, so that they can be read without building the
documentation; a test says when they are not current any more.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from understudy import errors
from understudy.cli import entry
from understudy.cli.commands import STOPPED, app
from understudy.runtime import files
from understudy.settings import AllSettings, Settings
from understudy.verification.verdict import EXIT_CODES

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
NOTE = "<!-- Written by `python -m tools.make_reference`. Do not edit. -->\n\n"

_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "in steps of",
}
"""Words for what a JSON schema says of a number."""

_EXIT_OF_VERIFY = {
    "intact": "`verify`: nothing was changed since it was signed here, or by someone trusted here",
    "unknown signer": "`verify`: signed by someone who is not known here",
    "unknown": "`verify`: nothing is proved",
    "altered": "`verify`: made with this program and changed since",
    "broken": "`verify`: something contradicts itself",
}


def cli() -> str:
    """The page of all commands, as their own help has it, the stages of a film first."""
    text = app.generate_docs(recursive=True)
    # Sphinx makes a table of contents of the headings; cyclopts' own would be a second one.
    text = re.sub(r"^## Table of Contents\n.*?(?=^\*\*Commands\*\*)", "", text, flags=re.M | re.S)
    # Cyclopts puts the way in which Python was started into the usage: `python -m ...`.
    text = re.sub(r"^(understudy .*?) -m \S+", r"\1", text, flags=re.M)
    # Deep continuation lines would become code blocks.
    text = re.sub(r"^ {4,}(?![*-] )(?=\S)", "  ", text, flags=re.M)
    text = text.replace("```console\n", "```text\n")
    head, *parts = re.split(r"^(?=## understudy )", text, flags=re.M)
    head = head.replace("# understudy\n", "# Commands\n", 1)
    order = re.findall(r"^\* \[`([a-z-]+)`\]", head, flags=re.M)
    parts.sort(key=lambda part: order.index(part.split()[2]))
    return NOTE + re.sub(r"\n{3,}", "\n\n", head + "".join(parts)).strip() + "\n"


def settings() -> str:
    """The page of all settings: section by section, with range, default and help."""
    lines = [
        "# Settings",
        "",
        "Every setting is a flag of its command, a line in `project.toml` and a keyword of the",
        "library, with the same name; in a flag `-` takes the place of `_`. A flag wins over the",
        "file, and the file over the default. An unknown name is an error that names the nearest",
        "known one.",
        "",
        "```toml",
        "# in project.toml",
        "[train]",
        "minutes = 20",
        "```",
        "",
        "```sh",
        "understudy train --minutes 20",
        "```",
    ]
    for section, field in AllSettings.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, Settings)):
            continue
        lines += ["", f"## `[{section}]`", "", inspect.cleandoc(model.__doc__ or "")]
        users = _commands_with(model)
        lines += ["", f"Flags of: {', '.join(users)}." if users else "Only in `project.toml`.", ""]
        lines += ["| setting | values | default | meaning |", "|---|---|---|---|"]
        shapes = model.model_json_schema()["properties"]
        lines += [
            f"| `{name}` | {_values(shapes[name])} | {_default(one.default)} | {_help(one)} |"
            for name, one in model.model_fields.items()
        ]
    return NOTE + "\n".join(lines) + "\n"


def exit_codes() -> str:
    """The page of what a command can end with."""
    rows: dict[int, str] = {0: "done; `verify`: intact", 1: "an error of no other kind"}
    for name, meaning in _tree():
        rows.setdefault(getattr(errors, name).exit_code, meaning)
    rows[2] += "; a command line that is not understood"
    rows |= {code: _EXIT_OF_VERIFY[outcome] for outcome, code in EXIT_CODES.items() if code}
    rows[entry.FAULT] = "a fault of this program; the message names a log file to report"
    rows[STOPPED] = "stopped with Ctrl-C; the same command goes on"
    rows[entry.UNREAD] = "the program that reads the output has closed it"
    lines = [
        "# Exit codes",
        "",
        "Every error message has two parts: what is wrong and where, and what to do next. The exit",
        "code tells a script what kind of error it was. Each kind is a class of the library",
        "([Python](python.md)).",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {rows[code]} |" for code in sorted(rows)),
        "",
        "Of several files, `verify` ends with the largest code; a file that cannot be read gives 5",
        "or 10 in any case. `ledger audit` ends with 10 when something is broken.",
        "",
        "## Classes of errors",
        "",
        "```text",
        *_drawn_tree(),
        "```",
    ]
    return NOTE + "\n".join(lines) + "\n"


PAGES = {"cli.md": cli, "settings.md": settings, "exit-codes.md": exit_codes}


def _commands_with(model: type[Settings]) -> list[str]:
    """The commands that take the fields of `model` as flags, in the order of their help."""
    found = []
    for name in app:
        command = app[name].default_command
        # Annotations are text here; some of their names are known to type checkers alone.
        hints = inspect.get_annotations(command) if command else {}
        if any(re.search(rf"\b{model.__name__}\b", str(hint)) for hint in hints.values()):
            found.append((app[name].sort_key, f"`{name}`"))
    return [name for _, name in sorted(found)]


def _values(shape: dict[str, Any]) -> str:
    """What a setting may be, in words."""
    options = shape.get("anyOf", [shape])
    shape = next(one for one in options if one.get("type") != "null")
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    kind = {
        "integer": "whole number",
        "number": "number",
        "boolean": "`true`, `false`",
        "string": "text",
    }[shape["type"]]
    limits = [f"{words} {shape[key]:g}" for key, words in _LIMITS.items() if key in shape]
    return ", ".join([kind, *limits])


def _default(value: object) -> str:
    return "not set" if value is None else f"`{json.dumps(value)}`"


def _help(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _drawn_tree() -> list[str]:
    """The tree of errors as the head of `errors.py` draws it."""
    lines = (errors.__doc__ or "").splitlines()
    return [line[4:] for line in lines if line.startswith("    ")]


def _tree() -> list[tuple[str, str]]:
    """Each class of errors with its meaning."""
    found = [re.search(r"(\w+)\s{2,}(\S.*)$", line) for line in _drawn_tree()]
    return [(one[1], one[2]) for one in found if one]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    stale = [
        name
        for name, page in PAGES.items()
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text("utf-8") != page()
    ]
    if given.check:
        for name in stale:
            print(f"{REFERENCE / name} is not current. Run: python -m tools.make_reference")
        return 1 if stale else 0
    for name in stale:
        files.write_bytes(REFERENCE / name, PAGES[name]().encode())
        print(f"Wrote {REFERENCE / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
