from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.media import html_report
from understudy.media.html_report import Curve, Plot, Section, Strip, Table, Words

EVIL = "<script>alert('x')</script> & \"ada\""
VOID = {"meta", "img", "path"}


class Reader(HTMLParser):
    """Collects tags and text, and complains about tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or (tag == "path" and "curve" in (dict(attrs).get("class") or "")):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def everything() -> str:
    picture = np.zeros((8, 12, 3), np.uint8)
    picture[..., 0] = 200
    items: list[html_report.Item] = [
        Words([("good", EVIL), ("bad", "b"), ("note", "n")]),
        Table(
            ["what", EVIL],
            [[EVIL, html_report.number(1.234)], ["none", html_report.number(None)]],
            EVIL,
        ),
        Plot(EVIL, [0, 1, 2, 3], [Curve(EVIL, [1, None, 3, 2])], EVIL, EVIL),
        Strip([(EVIL, picture)], EVIL),
    ]
    return html_report.page(EVIL, EVIL, [Section(EVIL, EVIL, items)])


def test_every_text_is_escaped_and_every_tag_closed() -> None:
    reader = Reader()
    reader.feed(everything())
    reader.close()
    assert reader.open == []
    assert "script" not in [tag for tag, _ in reader.tags]
    assert reader.text.count(EVIL) >= 10


def test_the_page_asks_for_nothing_outside() -> None:
    html = everything()
    reader = Reader()
    reader.feed(html)
    for tag, attributes in reader.tags:
        assert tag not in {"script", "link", "iframe", "object", "base", "form"}
        for name in ("src", "href", "xlink:href", "srcset", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_a_picture_comes_back_as_it_went_in() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0], image[..., 2] = 220, 30
    uri = html_report.data_uri(image)
    assert uri.startswith("data:image/webp;base64,")
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert back is not None
    assert np.abs(back[..., ::-1].astype(int) - image).max() < 12


def test_a_curve_stands_where_its_values_say() -> None:
    plot = Plot("t", [0, 5, 10], [Curve("a", [0, 10, 0])])
    drawing = re.search(r"<svg viewBox=\"0 0 720.*?</svg>", html_report.svg(plot), re.S)
    assert drawing
    root = ElementTree.fromstring(drawing.group())
    curve = next(p for p in root.iter("path") if "curve" in p.attrib["class"])
    points = [tuple(map(float, p.split())) for p in re.split("[ML]", curve.attrib["d"]) if p]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    assert ys[0] == ys[2] > ys[1]
    left = [text for text in root.iter("text") if text.attrib["text-anchor"] == "end"]
    labels = {text.text: float(text.attrib["y"]) - 4 for text in left}
    assert labels["0"] == pytest.approx(ys[0], abs=0.2)
    assert labels["10"] == pytest.approx(ys[1], abs=0.2)


def test_gaps_lift_the_pen_and_lone_points_are_dots() -> None:
    html = html_report.svg(Plot("t", [0, 1, 2, 3, 4], [Curve("a", [1, None, 2, None, None])]))
    path = re.search(r'<path class="curve[^>]* d="([^"]*)"><title>', html)
    assert path
    assert path.group(1).count("M") == 2
    assert path.group(1).count("h0") == 2
    assert "L" not in path.group(1)


@pytest.mark.parametrize("values", [[], [None, None], [float("nan"), float("inf")]])
def test_nothing_measured_is_said(values: list[float | None]) -> None:
    plot = Plot("t", list(range(len(values))), [Curve("a", values)])
    assert "Nothing was measured" in html_report.svg(plot)


def test_a_long_film_makes_a_short_curve() -> None:
    n = 100_000
    points = html_report.thin(range(n), [float(i % 2) for i in range(n)], html_report.MAX_POINTS)
    assert len(points) <= html_report.MAX_POINTS
    assert [y for _, y in points] == pytest.approx([0.5] * len(points), abs=0.01)
    with pytest.raises(ValueError, match="do not fit"):
        html_report.thin([0, 1], [1.0], 10)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_ascending_and_inside(low: float, length: float) -> None:
    high = low + length
    found = html_report.ticks(low, high)
    assert len(found) <= 11
    assert found == sorted(found)
    slack = 1e-6 * max(abs(low), abs(high), length)
    assert all(low - slack <= value <= high + slack for value in found)


def test_ticks_are_round() -> None:
    assert html_report.ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert html_report.ticks(-36, 37) == [-20, 0, 20]


def test_numbers_are_said_or_dashed() -> None:
    assert html_report.number(1.2345, 3) == "1.234"
    assert html_report.number(20, 1, "dB") == "20.0 dB"
    assert html_report.number(None) == html_report.number(float("nan")) == "\N{EN DASH}"
