"""What every benchmark returns, on what machine it ran, and where it is written."""

import json
import math
import os
import platform
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from loadtest.report import Figure, figures_table, verdict


@dataclass(frozen=True)
class Result:
    """What a benchmark found."""

    figures: tuple[Figure, ...]
    text: str = ""
    """More, in Markdown: what the figures are of, tables, what they do not say."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Raw values, for whoever wants to compare."""


Tell = Callable[[float, str], None]
"""Share done, 0 to 1, and what is going on."""


@dataclass(frozen=True)
class Setting:
    """How a benchmark is to be run."""

    quick: bool
    """Fewer repetitions: to see that it works, not to publish."""
    folder: Path
    """For recordings, captures, data."""
    tell: Tell


@dataclass(frozen=True)
class Benchmark:
    """One entry of `make bench`."""

    name: str
    title: str
    run: Callable[[Setting], Coroutine[Any, Any, Result]]


def hardware() -> str:
    """Processor, cores, memory, system, Python: one line."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def write(folder: Path, benchmark: Benchmark, result: Result, day: date, command: str) -> Path:
    """`<day>-<name>.md` and `.json`; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{day}-{benchmark.name}.md"
    head = f"# {benchmark.title}\n\n{day}, {hardware()}. Command: `{command}`.\n\n"
    page.write_text(f"{head}{figures_table(result.figures)}\n\n{result.text}".rstrip() + "\n", encoding="utf-8")
    table = {
        "benchmark": benchmark.name,
        "date": str(day),
        "hardware": hardware(),
        "command": command,
        "figures": [_plain(asdict(figure) | {"verdict": verdict(figure)}) for figure in result.figures],
        "data": result.data,
    }
    page.with_suffix(".json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return page


def _plain(figure: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in figure.items()}


Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""(name, sorted labels) → value, of a Prometheus page."""


def samples(page: str) -> Samples:
    """Every number of a Prometheus page."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): float(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def grown(before: Samples, after: Samples, name: str) -> float:
    """By how much a counter grew, over all its labels."""
    return sum(value - before.get(key, 0.0) for key, value in after.items() if key[0] == name)


def histogram_percentile(before: Samples, after: Samples, name: str, share: float) -> float:
    """The upper edge of the bucket that holds this share of what was observed between two pages; NaN of nothing."""
    buckets = sorted(
        (float(dict(labels)["le"]), value - before.get((key, labels), 0.0))
        for (key, labels), value in after.items()
        if key == f"{name}_bucket"
    )
    total = buckets[-1][1] if buckets else 0.0
    return next((edge for edge, count in buckets if total and count >= share * total), math.nan)
