"""The cache of a project: what can be computed again, a folder for each kind.

    cache/hashes/     SHA-256 of files, as long as they stay the same
    cache/scan/       the faces of films
    cache/crops/      aligned faces of a person whose extraction is not finished
    cache/galleries/  pictures of a person, made straight from their faceset

Nobody else names these folders, so that none is forgotten when somebody is removed; see
`Workspace.private`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProjectCache:
    """The folders in `folder`, the cache of a project. None of them need be there."""

    folder: Path

    @property
    def hashes(self) -> Path:
        return self.folder / "hashes"

    @property
    def scans(self) -> Path:
        return self.folder / "scan"

    @property
    def crops(self) -> Path:
        """A folder for each person."""
        return self.folder / "crops"

    @property
    def galleries(self) -> Path:
        return self.folder / "galleries"
