"""`make bench`: measures what the README claims and writes it to docs/measurements/.

python -m scripts.bench [NAME …] [--quick]
"""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loadtest.report import figures_table
from scripts.benches import BENCHMARKS
from scripts.benches.common import Benchmark, Result, Setting, write
from scripts.onecall import CallFailed
from scripts.stack import ROOT
from scripts.supervisor import StartFailed

MEASUREMENTS = ROOT / "docs" / "measurements"


def measure(console: Console, benchmark: Benchmark, quick: bool) -> Result:
    """Run one benchmark under a progress bar. Raises StartFailed, CallFailed."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    folder = ROOT / "var" / "bench" / f"{stamp}-{benchmark.name}"
    folder.mkdir(parents=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(benchmark.name, total=1.0, now="")

        def tell(share: float, now: str) -> None:
            progress.update(bar, completed=share, now=now)
            if not console.is_terminal:
                console.print(f"{benchmark.name} {share:.0%} {now}")

        result = asyncio.run(benchmark.run(Setting(quick, folder, tell)))
        tell(1.0, "done")
    return result


def main() -> int:
    """0: every target was reached; 1: one was missed or could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; nothing is written to docs/")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    try:
        return bench(Console(), given.names or list(BENCHMARKS), given.quick)
    except KeyboardInterrupt:
        return 130


def bench(console: Console, names: Sequence[str], quick: bool) -> int:
    """Run, show and write each; the exit code of `main`."""
    missed = False
    for name in names:
        benchmark = BENCHMARKS[name]
        console.rule(benchmark.title)
        try:
            result = measure(console, benchmark, quick)
        except (StartFailed, CallFailed) as error:
            console.print(f"[red]{name} could not be measured:[/] {error}", highlight=False)
            missed = True
            continue
        console.print(Markdown(figures_table(result.figures)))
        missed = missed or any(figure.passed is False for figure in result.figures)
        target = ROOT / "var" / "bench" if quick else MEASUREMENTS
        day = datetime.now().astimezone().date()
        page = write(target, benchmark, result, day, shlex.join(["python", "-m", "scripts.bench", *sys.argv[1:]]))
        console.print(f"written to {os.path.relpath(page)}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
