"""Who is in a film: its faces, followed, put right, and taken for people.

    scan -> repair -> match -> obey the tracks file

Every stage that looks for people in a film does it here, so that all of them see the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from understudy.progress import Progress
from understudy.settings import ScanSettings
from understudy.tracks.matching import Match, match_tracks
from understudy.tracks.repair import mend
from understudy.tracks.repaired_scan import MendedScan
from understudy.tracks.scan import scan
from understudy.tracks.tracks_file import Orders, obey
from understudy.types import Floats


@dataclass(frozen=True)
class Search:
    """How a film is looked through.

    Attributes:
        cache_folder: of the project; scans are kept there.
        settings: that faces are found with.
        same_person: largest embedding distance within one person.
        start, end: part of the film in seconds, end excluded; all of it when None.
    """

    cache_folder: Path
    settings: ScanSettings
    same_person: float
    start: Fraction | None = None
    end: Fraction | None = None


@dataclass(frozen=True)
class Identified:
    """The faces of a film, and whom they were taken for.

    Attributes:
        scan: every face of every frame, by track.
        matches: one for each track of `scan`, in the same order.
    """

    scan: MendedScan
    matches: tuple[Match, ...]


def identify(
    film: Path,
    people: Mapping[str, Floats],
    *,
    replace: Collection[str],
    search: Search,
    progress: Progress,
    orders: tuple[Path, Orders] | None = None,
) -> Identified:
    """Find everybody in `film`; at once when it was scanned before.

    Args:
        people: mean embedding (128,) of everybody who may be recognised.
        replace: who goes, as for `match_tracks`.
        orders: a tracks file and what it says, which wins over what is recognised.

    Raises:
        MediaError: the film cannot be read.
        SettingsError: the orders are for other tracks.
        StorageError: the cache cannot be written.
    """
    seen = scan(
        film, search.cache_folder, search.settings, progress, start=search.start, end=search.end
    )
    found = mend(seen)
    matches = match_tracks(
        found.tracks,
        people,
        replace,
        search.same_person,
        together=found.together,
        brief=found.brief,
    )
    if orders is not None:
        path, said = orders
        found, matches = obey(said, path, found, matches)
    return Identified(found, tuple(matches))
