from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from understudy.media.images import decode_image, encode_image
from understudy.media.png_text import with_text

PICTURE = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
LATIN = st.characters(codec="latin-1", exclude_characters="\0", exclude_categories=["Cc"])


@given(st.text(LATIN, max_size=300))
def test_words_are_read_back_and_the_picture_stays(words: str) -> None:
    data = with_text(encode_image(PICTURE, ".png"), {"Comment": words, "Source": "x"})
    with Pillow.open(BytesIO(data)) as found:
        found.load()
        assert found.info["Comment"] == words
        assert found.info["Source"] == "x"
        assert np.array_equal(np.asarray(found), PICTURE)
    assert np.array_equal(decode_image(data), PICTURE)


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(ValueError, match="PNG files only"):
        with_text(encode_image(PICTURE, ".jpg"), {"Comment": "x"})
    with pytest.raises(ValueError, match="1 to 79"):
        with_text(encode_image(PICTURE, ".png"), {"k" * 80: "x"})
