"""Which encoders there are and what the settings mean to them."""

from __future__ import annotations

import av
import pytest

from understudy.errors import MediaError
from understudy.media.encoders import (
    ENCODERS,
    available_encoders,
    encoder_for,
    pixel_format_for,
)
from understudy.settings import EncodeSettings


def test_what_is_listed_can_be_used() -> None:
    names = available_encoders()
    assert "libx264" in names
    for name in names:
        encoder, _ = encoder_for(EncodeSettings(codec=name))
        assert av.Codec(name, "w").canonical_name == encoder.codec


@pytest.mark.parametrize(
    ("codec", "near"),
    [("libx246", "libx264"), ("h264", "libx264"), ("vp9", "libvpx-vp9"), ("qqq", "libx264")],
)
def test_an_unknown_encoder_names_near_ones(codec: str, near: str) -> None:
    with pytest.raises(MediaError, match=codec) as caught:
        encoder_for(EncodeSettings(codec=codec))
    assert near in caught.value.remedy


def test_quality_and_preset_are_checked() -> None:
    with pytest.raises(MediaError, match="crf 60") as caught:
        encoder_for(EncodeSettings(codec="libx264", crf=60))
    assert "51" in caught.value.remedy
    with pytest.raises(MediaError, match="preset") as caught:
        encoder_for(EncodeSettings(codec="libx264", preset="mediun"))
    assert "medium" in caught.value.remedy
    with pytest.raises(MediaError, match="preset"):
        encoder_for(EncodeSettings(codec="libx264", preset="6"))


def test_presets_come_as_each_encoder_wants_them() -> None:
    assert encoder_for(EncodeSettings(codec="libsvtav1"))[1]["preset"].isdecimal()
    assert encoder_for(EncodeSettings(codec="libsvtav1", preset="6"))[1]["preset"] == "6"
    options = encoder_for(EncodeSettings(codec="libvpx-vp9", crf=30))[1]
    assert (options["crf"], options["b"]) == ("30", "0")


@pytest.mark.parametrize(
    ("codec", "source", "size", "wanted"),
    [
        ("libx264", "yuv420p", (64, 48), "yuv420p"),
        ("libx264", "yuvj420p", (64, 48), "yuv420p"),
        ("libx264", "yuv420p10le", (64, 48), "yuv420p10le"),
        ("libx264", "yuv420p", (63, 48), "yuv444p"),
        ("libx265", "yuv420p10le", (63, 47), "yuv444p10le"),
        ("libx264", "yuv422p", (64, 47), "yuv422p"),
        ("libx264", "yuv440p", (64, 48), "yuv444p"),
        ("libx264", "rgb24", (64, 48), "yuv420p"),
        ("libx264", "rgb24", (63, 48), "yuv444p"),
        ("libx264", "gray", (64, 48), "yuv420p"),
        ("libvpx-vp9", "yuv420p", (63, 47), "yuv420p"),
        ("libvpx-vp9", "yuv420p10le", (64, 48), "yuv420p"),
        ("libsvtav1", "yuv444p", (64, 48), "yuv420p"),
        ("libsvtav1", "yuv422p10le", (64, 48), "yuv420p10le"),
        ("ffv1", "gray", (63, 47), "gray"),
        ("ffv1", "yuv420p10le", (63, 47), "yuv420p10le"),
    ],
)
def test_the_pixel_format_is_the_source_s_or_the_nearest(
    codec: str, source: str, size: tuple[int, int], wanted: str
) -> None:
    name, note = pixel_format_for(ENCODERS[codec], source, *size)
    assert name == wanted
    same = wanted == source.replace("yuvj", "yuv")
    plain = source in ("rgb24", "gray") and wanted == "yuv420p"
    assert (note is None) == (same or plain)
