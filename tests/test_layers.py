"""Imports go downwards only, without circles, and the command line starts without the heavy
libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import understudy

ROOT = Path(understudy.__file__).parent

GROUND = {"errors", "types", "filenames", "files", "progress", "settings"}
LEAVES = {"media", "faces", "data", "models", "trust", "weights", "package_index", "person"} | {
    *(
        "blend_bands",
        "blend_chroma",
        "blend_colour",
        "blend_rim",
        "detail",
        "gaze",
        "grain",
        "markable",
    ),
    "quantised",
    *("canvas", "composite", "compute", "exchange", "latents", "matching", "metrics", "outlook"),
    *("pipeline", "processor", "report", "segments"),
}
FACADE = {"project", "project_films"}
TOP = {"cli", "commands", "output", "shell", "terminal", "__main__", "__init__"}
HEAVY = {"torch", "av", "cv2", "pyarrow", "accelerate", "ai_edge_litert", "tensorboard"}


def layer(module: str) -> int:
    """0 ground, 1 leaves, 2 the project folder, 3 stages and what they are made of, 4 what
    people touch."""
    first = module.split(".")[0]
    if first in GROUND:
        return 0
    if first in {"project_folder", *FACADE}:
        return 2
    if first in LEAVES:
        return 1
    return 4 if first in TOP else 3


@dataclass(frozen=True)
class Import:
    module: str
    lazy: bool


def modules() -> dict[str, Path]:
    """Every module of the package by its name below `understudy`."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def _typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _walk(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        if _typing_only(child):
            continue
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, inside
        yield from _walk(child, inside)


def imports(path: Path) -> Iterator[Import]:
    """What a module imports from this package when it runs."""
    known = modules()
    for node, lazy in _walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            base = node.module or ""
            inside = base.removeprefix("understudy").lstrip(".")
            parts = [f"{inside}.{alias.name}".lstrip(".") for alias in node.names]
            names = [f"understudy.{part}" if part in known else base for part in parts]
        else:
            continue
        for name in names:
            if name == "understudy" or name.startswith("understudy."):
                yield Import(name.removeprefix("understudy").lstrip(".") or "__init__", lazy)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_go_downwards(module: str) -> None:
    for found in imports(modules()[module]):
        if module in FACADE and found.lazy and layer(found.module) == 3:
            continue  # the project's methods are the stages, loaded when they are called
        assert layer(found.module) <= layer(module), f"{module} imports {found.module}"
        assert found.module != "__init__", f"{module} imports the public interface"


def test_no_circles() -> None:
    graph = {
        name: {one.module for one in imports(path) if not one.lazy} - {name}
        for name, path in modules().items()
    }
    assert list(TopologicalSorter(graph).static_order())


def test_layers_name_modules_that_exist() -> None:
    assert GROUND | TOP | {"project", "collect", "doctor"} <= set(modules())


def test_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from understudy.cli import main\n"
        "assert main(['--help']) == 0\n"
        "assert main(['convert', '--help']) == 0\n"
        f"print('loaded:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"
