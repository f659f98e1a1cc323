"""What the documents tell people to type exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from understudy.cli import commands
from understudy.faces.weights import store
from understudy.project import Project

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def typed() -> list[str]:
    """Commands in the code blocks of the documents, one by one, without comments."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        fenced = re.findall(r"^```(.*)\n((?:.*\n)*?)^```$", text, re.M)
        blocks = [block for kind, block in fenced if kind in ("", "sh", "bash")]
        blocks += re.findall(r"^(?: {4}.*\n)+", text, re.M)
        lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
        found += [part.strip() for line in lines for part in line.split("&&")]
    return found


def of(program: str) -> list[str]:
    return sorted({line for line in typed() if re.match(rf"{program}\b", line)})


@pytest.mark.parametrize("line", of("understudy"))
def test_a_command_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command, _, _ = commands.app.parse_args(words, exit_on_error=False, print_error=False)
    # A command of a group is called after both, as `person remove` is `remove_person`.
    assert command.__name__.replace("_", "-") in (words[0], "-".join(words[1::-1]))


@pytest.mark.parametrize("line", of("make"))
def test_a_make_target_exists(line: str) -> None:
    target = line.split()[1]
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", rules, re.M)
    assert re.search(rf"^\.PHONY:.*\b{target}\b", rules, re.M)


def test_the_documents_show_commands() -> None:
    assert {"make demo", "make test"} <= set(of("make"))
    assert len(of("understudy")) >= 7


def test_the_table_of_stages_is_the_order_of_the_commands() -> None:
    rows = re.findall(r"^\| `understudy (\w+)` \|", README, re.M)
    assert rows == ["init", "add", "extract", "train", "convert", "evaluate"]
    assert all(hasattr(Project, row) for row in rows[1:])


def test_the_library_example_uses_what_is_there() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    compile(example, "README.md", "exec")
    for method in re.findall(r"project\.(\w+)", example):
        assert hasattr(Project, method), method


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    """Files of the repository, and modules named from the package on, as `media/clock.py`."""
    packages = [one.name for one in (ROOT / "src" / "understudy").iterdir() if one.is_dir()]
    roots = dict.fromkeys(packages, ROOT / "src" / "understudy")
    roots |= dict.fromkeys(("src", "tests", "tools", "benchmarks", "examples", "docs"), ROOT)
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z_]+/[a-z_/-]+\.(?:py|md|safetensors))`", text):
        top = name.split("/")[0]
        if top in roots:
            assert (roots[top] / name).exists(), name


def test_continuous_integration_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "\nset -e\n" in script
    assert re.findall(r"^make .*$", script, re.M) == [
        "make lint",
        "make docs",
        "make test",
        "make test-long",
    ]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_weight_has_its_licence_written_down() -> None:
    table = (ROOT / "docs" / "reference" / "weights.md").read_text(encoding="utf-8")
    for weight in store.TABLE:
        (row,) = re.findall(rf"^\| `{re.escape(weight.name)}` .*$", table, re.M)
        assert weight.licence in row


def test_constraints_pin_every_dependency() -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (block,) = re.findall(r"^dependencies = \[\n(.*?)^\]", project, re.M | re.S)
    wanted = re.findall(r'^ +"([a-z0-9-]+)', block, re.M)
    groups = tomllib.loads(project)["dependency-groups"]
    wanted += [re.split(r"[<>=]", one)[0] for name in ("dev", "docs") for one in groups[name]]
    assert len(wanted) > 5
    assert set(wanted) <= pinned
