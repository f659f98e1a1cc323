"""Names of files from anywhere: shown without harm, passed to a shell, short enough for a disk.

A name may contain any byte but `/` and NUL. Python keeps bytes that are not UTF-8 as lone
surrogates, which cannot be printed or stored as text.
"""

from __future__ import annotations

import os
import shlex
import unicodedata
from pathlib import Path

LONGEST = 255
"""Bytes of one name on the usual file systems (ext4, APFS, NTFS, exFAT count at least so)."""

REPLACED = "\N{REPLACEMENT CHARACTER}"


def _shown(one: str) -> bool:
    # Spaces other than the usual one are harmless; macOS puts them into names of screenshots.
    return one.isprintable() or unicodedata.category(one) == "Zs"


def plain(text: str, keep: str = "") -> str:
    """Text from a file, without what would do something to a terminal.

    Args:
        keep: control characters that stay, for example the newline.
    """
    return "".join(one if _shown(one) or one in keep else REPLACED for one in text)


def word(path: Path | str) -> str:
    """A path as one word of a shell's command line, without control characters.

    A name that starts with a dash is not read as an option. Control characters and bytes that
    are not UTF-8 are written as `$'...'`, which bash, zsh and ksh know.
    """
    text = str(path)
    if text.startswith("-"):
        text = f"./{text}"
    if all(map(_shown, text)):
        return shlex.quote(text)
    pieces = []
    for one in text:
        if one in "\\'":
            pieces.append(f"\\{one}")
        elif _shown(one):
            pieces.append(one)
        else:
            pieces += [f"\\x{byte:02x}" for byte in os.fsencode(one)]
    return f"$'{''.join(pieces)}'"


def decodable(text: str) -> str:
    """`text` with a question mark for each byte that is not UTF-8: it can be stored as text."""
    return text.encode(errors="replace").decode()


def cut(text: str, room: int) -> str:
    """The beginning of `text` that takes at most `room` bytes, whole characters only."""
    data = text.encode(errors="surrogateescape")
    if len(data) <= room:
        return text
    head = data[: max(0, room)].decode(errors="ignore")
    # A cut between a letter and its accent would change the letter.
    while head and unicodedata.combining(text[len(head)] if len(head) < len(text) else "a"):
        head = head[:-1]
    return head


def safe_name(name: str) -> str:
    """A name as a new name, or as a part of one: text without control characters."""
    return "".join(one if _shown(one) else "_" for one in name)


def safe_stem(path: Path) -> str:
    """The stem of a file's name as part of a new name."""
    return safe_name(path.stem)
