"""Parquet files that carry their own notes and know when they are damaged.

Rows of vectors (landmarks, matrices, embeddings) are fixed-size lists of float32, so that
they come back as one numpy array without a copy. Every page has a checksum, and notes (JSON)
travel in the schema's metadata, so one file is one whole, checked thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from understudy.errors import ProjectError
from understudy.runtime import files
from understudy.types import Floats

_NOTES = b"understudy"
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError)


class DamagedTable(ProjectError):
    """A Parquet file is missing, cut short, altered or of another kind."""


def _damaged(path: Path, why: object) -> DamagedTable:
    return DamagedTable(
        f"{path} is damaged ({why}).", "Run `understudy extract` again to recreate it."
    )


def vector_type(width: int) -> Any:
    """Arrow type of `width` float32 values."""
    return pa.list_(pa.float32(), width)


def vectors(rows: Floats, present: NDArray[np.bool_] | None = None) -> Any:
    """An Arrow column from float32 (N, width); rows where `present` is False become null."""
    values = pa.array(np.ascontiguousarray(rows, dtype=np.float32).reshape(-1))
    mask = None if present is None else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(values, rows.shape[1], mask=mask)


def unvectors(column: Any) -> Floats:
    """float32 (N, width) from such a column, all rows present."""
    width: int = column.type.list_size
    if len(column) == 0:
        return np.empty((0, width), np.float32)
    chunks = getattr(column, "chunks", [column])
    parts = [
        chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        for chunk in chunks
        if len(chunk)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def optional_vectors(column: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """float32 (N, width) with zeros where the row is null, and which rows are present."""
    width: int = column.type.list_size
    present = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    rows = np.zeros((len(column), width), np.float32)
    if present.any():
        rows[present] = unvectors(column.drop_null())
    return rows, present


def with_notes(schema: Any, notes: dict[str, Any]) -> Any:
    """The schema with `notes` as its metadata."""
    return schema.with_metadata({_NOTES: json.dumps(notes, sort_keys=True).encode()})


def write(path: Path, table: Any, notes: dict[str, Any]) -> None:
    """Write one table, completely or not at all. Raises StorageError."""
    write_parts(path, table.schema, [table], notes)


def write_parts(path: Path, schema: Any, parts: Iterable[Any], notes: dict[str, Any]) -> None:
    """Write tables of one schema after each other, one row group each, whole or not at all.

    Args:
        parts: read lazily, so that the file may be larger than memory.

    Raises:
        StorageError: the disk said no.
    """
    schema = with_notes(schema, notes)
    with (
        files.atomic(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            use_dictionary=False,
            write_statistics=False,
            compression="none",
            write_page_checksum=True,
        ) as writer,
    ):
        for part in parts:
            if part.num_rows:
                writer.write_table(part.cast(schema), row_group_size=part.num_rows)


def read_notes(path: Path) -> dict[str, Any]:
    """The notes of a file, without its rows. Raises DamagedTable."""
    try:
        notes = json.loads(pq.read_schema(path).metadata[_NOTES])
    except (*_DAMAGE, TypeError) as error:
        raise _damaged(path, error) from error
    assert isinstance(notes, dict)
    return notes


def read(path: Path, columns: Sequence[str] | None = None) -> Any:
    """All rows of a file, checked against its checksums. Raises DamagedTable."""
    try:
        return pq.ParquetFile(path, page_checksum_verification=True).read(
            columns=None if columns is None else list(columns), use_threads=False
        )
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def read_parts(path: Path, parts: Sequence[int]) -> Iterator[Any]:
    """Some of the tables that were written after each other. Raises DamagedTable."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in parts:
                yield file.read_row_group(group, use_threads=False)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
