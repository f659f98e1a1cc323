"""Python literals from strangers, without running or trusting anything.

`ast.literal_eval` runs no code, but its parser can be brought down by deep nesting, long chains
of operators or huge numbers (its documentation says so). So the text is first cut into tokens:
only plain values, brackets, commas and colons pass, in an order in which nothing but containers
can nest, and these only so deep.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from understudy.errors import MediaError

LONGEST = 4 << 20
"""Longest text, in characters."""

DEEPEST = 12
TOKENS = 100_000
DIGITS = 40

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<open>[\[({])
      | (?P<close>[\])}])
      | (?P<between>[,:])
      | (?P<value>
            [bB]?'(?:[^'\\\r\n]|\\.)*'
          | [bB]?"(?:[^"\\\r\n]|\\.)*"
          | [-+]?[0-9.][0-9.eE+-]*
          | (?:True|False|None)\b
        )
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


def _bad(why: str) -> MediaError:
    return MediaError(
        f"The header is not plain data: {why}.",
        "Remove the file, or write it again with the program that made it.",
    )


def read(text: str) -> Any:
    """The value that a Python literal stands for: numbers, strings, bytes, True, False, None,
    and lists, tuples, dicts and sets of them.

    Raises:
        MediaError: it is anything else, or beyond the limits of this module.
    """
    if len(text) > LONGEST:
        raise _bad(f"it has {len(text)} characters")
    _check(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _bad(f"{type(error).__name__}, {str(error)[:100]}") from error


def _check(text: str) -> None:
    """Raises MediaError when a parser should not see the text."""
    place = depth = 0
    before = "between"
    for _ in range(TOKENS):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _bad(f"`{text[place : place + 20].strip()}` at character {place} is not a value")
        kind = str(found.lastgroup)
        if kind == "end":
            return
        if kind in ("open", "value") and before in ("close", "value"):
            raise _bad(f"values follow each other at character {place}")
        if kind == "value" and found["value"][-1] not in "'\"" and (len(found["value"]) > DIGITS):
            raise _bad(f"a number of {len(found['value'])} digits")
        depth += (kind == "open") - (kind == "close")
        if depth > DEEPEST:
            raise _bad(f"it is nested more than {DEEPEST} deep")
        before, place = kind, found.end()
    raise _bad(f"it has more than {TOKENS} parts")
