from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy import settings
from understudy.errors import SettingsError
from understudy.settings import (
    AllSettings,
    ConvertSettings,
    EncodeSettings,
    Settings,
    TrainSettings,
)

SECTIONS = {
    name: field.annotation
    for name, field in AllSettings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_help(section: str) -> None:
    for name, field in SECTIONS[section].model_fields.items():
        assert field.description, f"{section}.{name}"


def test_the_template_means_the_defaults() -> None:
    assert settings.parse(AllSettings, tomllib.loads(settings.template()), "x") == AllSettings()


def test_the_template_shows_every_setting_with_its_default() -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", settings.template(), flags=re.M)
    shown = tomllib.loads(text)
    assert settings.parse(AllSettings, shown, "x") == AllSettings()
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            if field.default is None:
                assert f"# {name} is not set" in text
            else:
                assert shown[section][name] == field.default


@pytest.mark.parametrize(
    ("values", "problem", "remedy"),
    [
        ({"train": {"minuts": 3}}, "`train.minuts`", "`minutes`"),
        ({"trian": {}}, "`trian`", "`train`"),
        ({"convert": {"xyzzy": 1}}, "`convert.xyzzy`", "feather"),
        ({"train": {"size": 100}}, "`train.size`", ""),
        ({"train": {"size": "big"}}, "'big'", ""),
        ({"train": {"minutes": 3, "steps": 4}}, "not both", ""),
        ({"schema_version": 2}, "`schema_version`", ""),
        ({"train": 3}, "`train`", ""),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], problem: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse(AllSettings, values, "project.toml")
    assert problem in caught.value.problem
    assert "project.toml" in caught.value.problem
    assert remedy in caught.value.remedy
    assert caught.value.remedy


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "project.toml"
    with pytest.raises(SettingsError, match=r"project\.toml"):
        settings.load(path)
    path.write_text("train = [")
    with pytest.raises(SettingsError, match=r"project\.toml"):
        settings.load(path)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(SettingsError, match=r"project\.toml"):
        settings.load(path)


def test_what_is_given_wins() -> None:
    base = TrainSettings(size=96, seed=7)
    assert settings.override(base, {"seed": 8}, "x") == TrainSettings(size=96, seed=8)
    assert settings.override(base, {}, "x") == base


def test_one_budget_puts_the_other_aside() -> None:
    base = TrainSettings(minutes=20)
    assert settings.override(base, {"steps": 5}, "x") == TrainSettings(steps=5)
    assert settings.override(base, {"seed": 5}, "x") == TrainSettings(minutes=20, seed=5)
    with pytest.raises(SettingsError, match="not both"):
        settings.override(base, {"steps": 5, "minutes": 5}, "x")


def test_take_gives_each_section_its_own_and_refuses_what_is_nobodys() -> None:
    values: dict[str, Any] = {"crf": 20, "feather": 0.2}
    convert, encode = settings.take(values, "x", ConvertSettings(), EncodeSettings())
    assert convert == ConvertSettings(feather=0.2)
    assert encode == EncodeSettings(crf=20)
    assert values == {"crf": 20, "feather": 0.2}
    with pytest.raises(SettingsError, match="`crf`"):
        settings.take(values, "x", ConvertSettings())
    assert settings.take({}, "x", ConvertSettings()) == (ConvertSettings(),)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*SECTIONS, "size", "minutes", "crf", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_a_file_holds_it_is_settings_or_a_settings_error(value: Any) -> None:
    values = value if isinstance(value, dict) else {"train": value}
    try:
        found = settings.parse(AllSettings, values, "x")
    except SettingsError as error:
        problem, remedy = error.problem, error.remedy
    else:
        problem, remedy = "", ""
        assert isinstance(found, AllSettings)
    assert bool(problem) == bool(remedy)
