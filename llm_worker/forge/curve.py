"""Loss curves as a picture, drawn as SVG: no library is needed to write one or to look at one. PURE."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, EDGE = 720, 360, 48
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#8250df")
Points = Sequence[tuple[float, float]]


def svg(curves: Mapping[str, Points], title: str) -> str:
    """One line for each name: steps to the right, loss upwards. Curves without points are left out."""
    drawn = {name: points for name, points in curves.items() if points}
    everything = [point for points in drawn.values() for point in points] or [(0.0, 0.0)]
    most, top = max(step for step, _ in everything) or 1.0, max(value for _, value in everything) or 1.0

    def place(point: tuple[float, float]) -> str:
        x = EDGE + point[0] / most * (WIDTH - 2 * EDGE)
        return f"{x:.1f},{HEIGHT - EDGE - point[1] / top * (HEIGHT - 2 * EDGE):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{EDGE}" y="28">{escape(title)}</text>',
        f'<path d="M{EDGE},{EDGE} V{HEIGHT - EDGE} H{WIDTH - EDGE}" fill="none" stroke="#57606a"/>',
        f'<text x="{EDGE - 6}" y="{EDGE + 4}" text-anchor="end" font-size="12">{top:.2f}</text>',
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - EDGE + 18}" text-anchor="end" font-size="12">step {most:.0f}</text>',
    ]
    for number, (name, points) in enumerate(drawn.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(place(point) for point in points)
        label = f"{escape(name)}, last {points[-1][1]:.3f}"
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{WIDTH - EDGE}" y="{EDGE + 16 * number}" text-anchor="end" fill="{colour}">{label}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
