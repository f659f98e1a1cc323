"""One self-contained page out of words, numbers, curves and pictures.

`page` takes plain values and returns HTML that asks for nothing: pictures are WebP data URIs,
plots are inline SVG, the style is inside, there is no script. It reads in light and in dark
and on paper. Every text is escaped here, so callers pass names and paths as they are.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from understudy.media.images import encode_image
from understudy.types import Image

Tone = Literal["good", "bad", "note"]

MAX_POINTS = 800
"""A curve with more points is averaged down to about this many."""

_WIDTH, _HEIGHT = 720, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 40
_DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True)
class Words:
    """A list of sentences, each with what it means for the reader.

    `names` are the labels before them.
    """

    sentences: Sequence[tuple[Tone, str]]
    names: Mapping[Tone, str] = field(
        default_factory=lambda: {"good": "Good", "bad": "Watch", "note": "Note"}
    )


@dataclass(frozen=True)
class Table:
    """Rows of cells below one row of headings; the first cell of a row names it.

    Cells are text; `number` makes them. `note` stands below the table.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """One value per x of its plot; None leaves a gap."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Plot:
    """Curves over one common axis.

    Attributes:
        x: ascending, as long as every curve.
        x_label, unit: units of the axes, for example "seconds" and "dB".
    """

    title: str
    x: Sequence[float]
    curves: Sequence[Curve]
    x_label: str = "seconds"
    unit: str = ""


@dataclass(frozen=True)
class Strip:
    """Pictures side by side with a label over each and one caption below."""

    pictures: Sequence[tuple[str, Image]]
    caption: str = ""


Item = Words | Table | Plot | Strip


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two about it, and its contents."""

    title: str
    text: str
    items: Sequence[Item]


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """`value` with so many decimals and its unit; a dash when it was not measured."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    return f"{value:.{digits}f}" + (f" {unit}" if unit else "")


def data_uri(image: Image) -> str:
    """An RGB uint8 image as a WebP data URI."""
    return "data:image/webp;base64," + base64.b64encode(encode_image(image, ".webp")).decode()


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within low..high."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def thin(
    x: Sequence[float], values: Sequence[float | None], most: int
) -> list[tuple[float, float | None]]:
    """Points of a curve, averaged over equal runs when there are more than `most`."""
    if len(x) != len(values):
        raise ValueError(f"{len(values)} values do not fit {len(x)} places")
    clean = [v if v is not None and math.isfinite(v) else None for v in values]
    run = max(1, math.ceil(len(clean) / most))
    points: list[tuple[float, float | None]] = []
    for start in range(0, len(clean), run):
        there = [v for v in clean[start : start + run] if v is not None]
        middle = sum(x[start : start + run]) / len(x[start : start + run])
        points.append((middle, sum(there) / len(there) if there else None))
    return points


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(points: list[tuple[float, float | None]], across: _Scale, up: _Scale) -> str:
    """Path data; a lone point between gaps becomes a dot by its round cap."""
    parts: list[str] = []
    pen = "M"
    for index, (x, y) in enumerate(points):
        if y is None:
            pen = "M"
            continue
        parts.append(f"{pen}{across(x):.1f} {up(y):.1f}")
        alone = pen == "M" and (index + 1 == len(points) or points[index + 1][1] is None)
        if alone:
            parts.append("h0")
        pen = "L"
    return "".join(parts)


@dataclass(frozen=True)
class _Scale:
    """A straight map of low..high to start..stop."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


def _span(values: list[float]) -> tuple[float, float]:
    """Limits of an axis with a little air, never of zero length."""
    low, high = min(values), max(values)
    air = 0.05 * (high - low) or max(abs(high) * 0.05, 0.5)
    return low - air, high + air


def svg(plot: Plot) -> str:
    """A line plot as inline SVG; a sentence if there is nothing to draw."""
    lines = [(curve.label, thin(plot.x, curve.values, MAX_POINTS)) for curve in plot.curves]
    ys = [y for _, points in lines for _, y in points if y is not None]
    unit = f" <small>{escape(plot.unit)}</small>" if plot.unit else ""
    title = f"<figcaption>{escape(plot.title)}{unit}</figcaption>"
    if not ys:
        return f'<figure class="plot">{title}<p class="none">Nothing was measured.</p></figure>'
    xs = [x for _, points in lines for x, _ in points]
    low, high = min(xs), max(xs)
    across = _Scale(low, high if high > low else low + 1, _LEFT, _WIDTH - _RIGHT)
    up = _Scale(*_span(ys), _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(plot.title, quote=True)}">'
    ]
    marks = ticks(up.low, up.high)
    for value in marks:
        y = up(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", "end"))
    for value in ticks(across.low, across.high, 8):
        parts.append(_text(across(value), _HEIGHT - _BOTTOM + 16, f"{value:g}"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, plot.x_label))
    legend = []
    for index, (label, points) in enumerate(lines):
        dash = _DASHES[index % len(_DASHES)]
        style = f'class="curve c{index % 4}" stroke-dasharray="{dash}"'
        parts.append(
            f'<path {style} d="{_line(points, across, up)}"><title>{escape(label)}</title></path>'
        )
        legend.append(
            f'<span><svg class="key" viewBox="0 0 28 8"><path {style} d="M1 4H27"/></svg>'
            f"{escape(label)}</span>"
        )
    parts.append("</svg>")
    return (
        f'<figure class="plot">{title}{"".join(parts)}'
        f'<div class="legend">{"".join(legend)}</div></figure>'
    )


def _words(words: Words) -> str:
    rows = [
        f'<li class="{tone}"><b>{words.names[tone]}</b><span>{escape(text)}</span></li>'
        for tone, text in words.sentences
    ]
    return f'<ul class="words">{"".join(rows)}</ul>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.headings)
    rows = [
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    ]
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _strip(strip: Strip) -> str:
    cells = []
    for label, image in strip.pictures:
        height, width = image.shape[:2]
        cells.append(
            f'<div><span>{escape(label)}</span><img src="{data_uri(image)}" '
            f'width="{width}" height="{height}" alt="{escape(label, quote=True)}"></div>'
        )
    caption = f"<figcaption>{escape(strip.caption)}</figcaption>" if strip.caption else ""
    count = f'style="--n:{len(cells)}"'
    return (
        f'<figure class="strip"><div class="row" {count}>{"".join(cells)}</div>{caption}</figure>'
    )


def _item(item: Item) -> str:
    match item:
        case Words():
            return _words(item)
        case Table():
            return _table(item)
        case Plot():
            return svg(item)
        case Strip():
            return _strip(item)


_STYLE = """
:root{color-scheme:light dark;--ink:#1d2327;--soft:#5b6670;--paper:#fdfdfb;--card:#f3f3ef;
--rule:#d9dad4;--good:#1a7f4b;--bad:#b3421b;--note:#41607d;
--c0:#66727c;--c1:#d9541e;--c2:#1f77b4;--c3:#8a5fbf}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ea;--soft:#9ba6b0;--paper:#16191c;
--card:#1f2428;--rule:#343b41;--good:#5cc98f;--bad:#ff9166;--note:#8fb4d6;
--c0:#a9b4bd;--c1:#ff8a52;--c2:#63b3ef;--c3:#bf9bf0}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.8rem 0 .4rem;padding-top:1.1rem;border-top:1px solid var(--rule)}
p{margin:.3rem 0 1rem;max-width:46rem}
.lead,.note,.none,figcaption{color:var(--soft)}
.note,.none,figcaption{font-size:.875rem}
.words{list-style:none;margin:.8rem 0;padding:0}
.words li{display:flex;gap:.8rem;margin:.4rem 0;padding:.5rem .8rem;background:var(--card);
border-left:4px solid;border-radius:0 6px 6px 0}
.words b{flex:0 0 3.4rem}
.words .good{border-color:var(--good)}.words .good b{color:var(--good)}
.words .bad{border-color:var(--bad)}.words .bad b{color:var(--bad)}
.words .note{border-color:var(--note);font-size:1rem;color:var(--ink)}
.words .note b{color:var(--note)}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.35rem 1.1rem .35rem 0;text-align:right;border-bottom:1px solid var(--rule);
vertical-align:top}
th:first-child{text-align:left;font-weight:400}
thead th{color:var(--soft);font-weight:600;font-size:.875rem}
figure{margin:1rem 0}
.plot figcaption{font-weight:600;color:var(--ink);font-size:.95rem}
.plot small{font-weight:400;color:var(--soft)}
.plot>svg{display:block;width:100%;height:auto}
.plot text{fill:var(--soft);font-size:12px;font-family:inherit}
.grid{stroke:var(--rule);fill:none}
.curve{fill:none;stroke-width:1.6;stroke-linejoin:round;stroke-linecap:round}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.875rem;padding-left:56px}
.key{width:28px;height:8px;margin-right:.4rem;vertical-align:middle}
.row{display:grid;gap:.5rem;grid-template-columns:repeat(var(--n),minmax(0,1fr));
max-width:calc(var(--n)*18rem)}
@media (max-width:40rem){.row{grid-template-columns:repeat(auto-fill,minmax(7.5rem,1fr))}}
.row span{display:block;font-size:.8125rem;color:var(--soft)}
.row img{display:block;width:100%;height:auto;border-radius:4px;background:var(--card)}
@media print{:root{--paper:#fff}h2,figure{break-inside:avoid}}
"""


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page as one string of HTML."""
    body = [
        f"<section><h2>{escape(section.title)}</h2>"
        + (f"<p>{escape(section.text)}</p>" if section.text else "")
        + "".join(_item(item) for item in section.items)
        + "</section>"
        for section in sections
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f'<body><main><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>\n'
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )
