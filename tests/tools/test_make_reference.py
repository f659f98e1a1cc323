"""The reference pages say what the program says."""

from __future__ import annotations

import re

import pytest

from tools import make_reference
from understudy import errors
from understudy.cli.commands import app
from understudy.settings import AllSettings, Settings


@pytest.mark.parametrize("name", make_reference.PAGES)
def test_a_page_is_current(name: str) -> None:
    kept = (make_reference.REFERENCE / name).read_text(encoding="utf-8")
    assert kept == make_reference.PAGES[name](), "run: python -m tools.make_reference"


def test_every_command_has_a_section_with_its_flags() -> None:
    page = make_reference.cli()
    commands = [name for name in app if not name.startswith("-")]
    assert sorted(re.findall(r"^## understudy (\S+)$", page, re.M)) == sorted(commands)
    convert = page.split("## understudy convert\n")[1].split("\n## ")[0]
    assert "understudy convert [OPTIONS] FILM\n" in convert
    assert "`--replace" in convert
    assert "`--feather FLOAT`: Width of the mask's soft edge" in convert


def test_the_stages_come_first_in_the_order_of_a_film() -> None:
    found = re.findall(r"^## understudy (\S+)$", make_reference.cli(), re.M)
    assert found[:5] == ["init", "add", "extract", "train", "convert"]


def test_every_setting_has_a_row_with_its_default() -> None:
    page = make_reference.settings()
    for section, field in AllSettings.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, Settings)):
            continue
        part = page.split(f"## `[{section}]`\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \|", part, re.M)
        assert rows == list(model.model_fields)
    assert re.search(r"^\| `crf` \| whole number, at least 0, at most 63 \| `18` \|", page, re.M)
    assert re.search(r"^\| `minutes` \| number, above 0 \| not set \|", page, re.M)
    assert "Flags of: `train`, `pretrain`." in page


def test_every_exit_code_has_a_row() -> None:
    page = make_reference.exit_codes()
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)]
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    assert {one.exit_code for one in classes if issubclass(one, errors.UnderstudyError)} <= set(
        codes
    )
    assert codes == sorted(set(codes))
    assert {0, 20, 21, 22, 23, 70, 130, 141} <= set(codes)
