"""A figure of an experiment as SVG: the mean of each case, with the range over its seeds, one column of marks for each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 76, 44
COLOURS = {"None": "#555555", "Dropout": "#c4622d", "PCFF": "#2f6db0"}


@dataclass(frozen=True)
class Point:
    """The values of all seeds of a case, in per cent."""

    series: str
    place: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)


def figure(title: str, notes: Sequence[str], axis: str, points: Sequence[Point]) -> str:
    """The SVG text. There is at least one of ``points``, and at most three of ``notes``."""
    places = list(dict.fromkeys(point.place for point in points))
    names = list(dict.fromkeys(point.series for point in points))
    low, high, step = _scale([value for point in points for value in point.values])

    def x(point: Point) -> float:
        width = (WIDTH - LEFT - RIGHT) / len(places)
        beside = [other.series for other in points if other.place == point.place]
        inside = (beside.index(point.series) + 1) / (len(beside) + 1)
        return LEFT + width * (places.index(point.place) + inside)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, title, 'font-size="14"'),
        *(_text(LEFT, 36 + 13 * k, note, 'font-size="10" fill="#777777"') for k, note in enumerate(notes)),
    ]
    for k in range(round((high - low) / step) + 1):
        level = y(low + k * step)
        lines.append(f'<path d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        lines.append(_text(LEFT - 6, level + 4, f"{low + k * step:.4g} %", 'text-anchor="end"'))
    for k, place in enumerate(places):
        middle = LEFT + (WIDTH - LEFT - RIGHT) * (k + 0.5) / len(places)
        lines.append(_text(middle, HEIGHT - BOTTOM + 18, place, 'text-anchor="middle"'))
    lines.append(_text(LEFT, HEIGHT - 8, axis))
    for k, name in enumerate(names):
        at = WIDTH - RIGHT - 90 * (len(names) - k)
        lines.append(f'<circle cx="{at}" cy="{HEIGHT - 12}" r="4" fill="{COLOURS.get(name, "black")}"/>')
        lines.append(_text(at + 8, HEIGHT - 8, name))
    for point in points:
        colour, at = COLOURS.get(point.series, "black"), x(point)
        top, bottom = y(max(point.values)), y(min(point.values))
        label = f"{point.series}, {point.place}: {point.mean:.2f} %"
        lines.append(f'<path d="M{at:.1f} {top:.1f}V{bottom:.1f}" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<circle cx="{at:.1f}" cy="{y(point.mean):.1f}" r="4" fill="{colour}"><title>{escape(label)}</title></circle>')
        lines.append(_text(at, y(max(point.values)) - 8, f"{point.mean:.2f}", f'text-anchor="middle" fill="{colour}"'))
    return "\n".join([*lines, "</svg>\n"])


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Round bounds around ``values`` with room for labels, and the distance of lines between them."""
    span = max(max(values) - min(values), 0.1)
    step = next(size * 10**power for power in range(-2, 3) for size in (1, 2, 5) if size * 10**power * 6 >= span)
    low = step * (min(values) // step)
    return low, step * (max(values) // step + 1), step


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{" " + more if more else ""}>{escape(text)}</text>'
