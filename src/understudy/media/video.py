"""Films in and out: what other parts of the package use."""

from understudy.media.encoders import available_encoders
from understudy.media.info import AudioTrack, MediaInfo
from understudy.media.join import check_destination, join
from understudy.media.overlay import lay
from understudy.media.planes import to_rgb
from understudy.media.probe import probe
from understudy.media.reader import VideoReader
from understudy.media.writer import SEGMENT_SUFFIX, SegmentWriter

__all__ = [
    "SEGMENT_SUFFIX",
    "AudioTrack",
    "MediaInfo",
    "SegmentWriter",
    "VideoReader",
    "available_encoders",
    "check_destination",
    "join",
    "lay",
    "probe",
    "to_rgb",
]
