"""Pieces of what other programs write."""

from __future__ import annotations

import struct
import zlib
from typing import Any


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def values() -> dict[str, Any]:
    return {
        "alignments": {
            "x": 10,
            "y": -4,
            "w": 50,
            "h": 60,
            "landmarks_xy": [[float(i), i + 0.5] for i in range(68)],
            "mask": {"extended": {"mask": b"x\x9c([{", "stored_size": 128}},
            "identity": {"vggface2": [0.25] * 512},
        },
        "source": {
            "alignments_version": 2.3,
            "original_filename": "clip_000123_0.png",
            "face_index": 1,
            "source_filename": "clip_000123.png",
            "source_is_video": True,
            "source_frame_dims": (1080, 1920),
        },
    }
