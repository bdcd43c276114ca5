"""PURE: figures → percentiles, tables, bars, verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed, interpolated; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """The middle value; NaN of none."""
    return percentile(values, 0.5)


def slope(values: Sequence[float]) -> float:
    """Growth per value, by least squares; NaN of fewer than two."""
    count = len(values)
    if count < 2:
        return math.nan
    centre, mean = (count - 1) / 2, sum(values) / count
    above = sum((n - centre) * (value - mean) for n, value in enumerate(values))
    return above / sum((n - centre) ** 2 for n in range(count))


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, and what it is to be."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""
    """How many samples, or what the figure does not say."""

    @property
    def passed(self) -> bool | None:
        """None where there is no target. A figure that could not be measured has not passed."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        below = self.at_most is None or self.value <= self.at_most
        return above and below

    @property
    def target(self) -> str:
        """As a table shows it."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {self.unit}".rstrip()
        return f"≥ {self.at_least:g} {self.unit}".rstrip() if self.at_least is not None else ""

    @property
    def shown(self) -> str:
        """The value with its unit; three digits that count."""
        if math.isnan(self.value):
            return "not measured"
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2
        return f"{self.value:.{digits}f} {self.unit}".rstrip()


def verdict(figure: Figure) -> str:
    """pass, miss, or nothing."""
    return {True: "pass", False: "miss", None: ""}[figure.passed]


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def figures_table(figures: Sequence[Figure]) -> str:
    """Figures, targets and verdicts in Markdown."""
    rows = [(figure.name, figure.shown, figure.target, verdict(figure), figure.note) for figure in figures]
    return markdown_table(("figure", "measured", "to reach", "", "note"), rows)


@dataclass(frozen=True, slots=True)
class Bar:
    """One stage of a waterfall, placed after the ones before."""

    stage: str
    start: float
    seconds: float


def waterfall(stages: Mapping[str, float]) -> list[Bar]:
    """Stages end to end, in their order; those of no length are left out."""
    bars, at = [], 0.0
    for stage, seconds in stages.items():
        if seconds > 0:
            bars.append(Bar(stage, at, seconds))
            at += seconds
    return bars


def drawn(bar: Bar, scale: float, width: int) -> str:
    """A bar as text, `width` characters for `scale` seconds; at least one block."""
    if scale <= 0:
        return ""
    first = min(width - 1, round(bar.start / scale * width))
    length = max(1, min(width - first, round(bar.seconds / scale * width)))
    return " " * first + "█" * length
