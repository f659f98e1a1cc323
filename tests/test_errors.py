from __future__ import annotations

import inspect
import re

import pytest

from understudy import errors
from understudy.errors import UnderstudyError

TREE = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, UnderstudyError)
]


def test_the_drawing_shows_the_tree() -> None:
    drawing = errors.__doc__ or ""
    names = re.findall(r"^[ |`-]*\b(\w+(?:Error|Person|Model|Locked))\b", drawing, re.M)
    assert sorted(names) == sorted(kind.__name__ for kind in TREE)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_says_what_is_wrong_and_what_to_do(kind: type[UnderstudyError]) -> None:
    error = kind("The disk is full.", "Make room.")
    assert (error.problem, error.remedy) == ("The disk is full.", "Make room.")
    assert str(error) == "The disk is full. Make room."
    assert 1 <= kind.exit_code < 64


def test_branches_have_exit_codes_of_their_own() -> None:
    branches = UnderstudyError.__subclasses__()
    codes = [kind.exit_code for kind in branches]
    assert len(set(codes)) == len(codes)
    for kind in errors.ProjectError.__subclasses__():
        assert kind.exit_code == errors.ProjectError.exit_code
