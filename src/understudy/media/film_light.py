"""The transfer functions of films, and which of them are supported for swaps.

Codes of transfer: ITU-T H.273. Curves like those of sRGB and BT.709 are near enough to one another,
and hybrid log-gamma (ARIB STD-B67) is made to look right on screens that know nothing of it: faces
are found, drawn and matched in the film's own numbers there. With the others they would be drawn in
a light that is far from what the networks know, and come out blotched.
"""

from __future__ import annotations

from understudy.errors import MediaError
from understudy.media.info import MediaInfo

FAR = {
    8: "linear light",
    9: "logarithmic light (100:1)",
    10: "logarithmic light (316:1)",
    16: "HDR with the PQ curve (SMPTE ST 2084: HDR10, Dolby Vision)",
    17: "digital cinema light (SMPTE ST 428-1)",
}
"""Curves that are too far from a screen's."""


def check_light(info: MediaInfo) -> None:
    """Raises MediaError when faces cannot be drawn in the light of a film."""
    said = FAR.get(info.tags.transfer)
    if said is None:
        return
    raise MediaError(
        f"{info.path.name} uses {said}, which is not supported yet.",
        "Make an SDR or HLG version of it first, with an editing program or with FFmpeg's filters "
        "zscale and tonemap, and use that.",
    )
