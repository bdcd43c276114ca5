"""How long a grammar takes: `python -m llm_worker.benches.masks [tekken.json]`. Prints one line; one processor is used.

Without a file the vocabulary is a small one, trained on the project's own pages.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import TypeVar

from llm_worker.forge.world import tools
from llm_worker.messages import ToolChoice
from llm_worker.text.bpe import train_bpe
from llm_worker.text.grammar import Grammar, Grammars
from llm_worker.text.tokenizer import ARGS, CALL, Tekken

_PAGES = Path(__file__).resolve().parents[2] / "docs"
_SMALL = 3072
_CALLS = {
    "book_appointment": '{"name": "Ann Kowalski", "day": "2026-11-26", "time": "09:30", "reason": "a sore throat"}',
    "take_message": '{"name": "Ann Kowalski", "text": "Please call back about the results of Tuesday."}',
    "end_call": "{}",
}
_TOOLS = (*_CALLS, "find_slots", "move_appointment", "cancel_appointment", "transfer_call")
_ROUNDS = 50
_Result = TypeVar("_Result")


def main() -> None:
    """Entry point."""
    if len(sys.argv) > 1:
        vocabulary = Tekken.read(Path(sys.argv[1]))
    else:
        vocabulary = Tekken(train_bpe([page.read_text("utf-8") for page in sorted(_PAGES.glob("*.md"))], _SMALL))
    seconds, grammars = _timed(lambda: Grammars(vocabulary))
    offered = tools(_TOOLS, ["reception", "doctor"])
    compiling, _ = _timed(lambda: grammars.check(offered))
    ids: list[int] = []
    for name, arguments in _CALLS.items():
        ids += [
            vocabulary.control(CALL),
            *vocabulary.encode(name),
            vocabulary.control(ARGS),
            *vocabulary.encode(arguments),
        ]
    ids.append(vocabulary.eos)
    first, *others = (_masks(grammars.grammar(offered, ToolChoice.REQUIRED), ids) for _ in range(1 + _ROUNDS))
    later = [each for answer in others for each in answer]
    sys.stdout.write(
        f"{vocabulary.size} ids, {len(offered)} tools, an answer of {len(_CALLS)} calls and {len(ids)} ids: "
        f"vocabulary {seconds * 1e3:.0f} ms, compiling the tools {compiling * 1e3:.1f} ms; mask of the first answer "
        f"median {median(first) * 1e6:.0f}, longest {max(first) * 1e6:.0f} µs; of {_ROUNDS} more median "
        f"{median(later) * 1e6:.0f}, mean {mean(later) * 1e6:.0f}, longest {max(later) * 1e6:.0f} µs\n"
    )


def _masks(grammar: Grammar, ids: list[int]) -> list[float]:
    """Seconds that each mask of one answer took."""
    spent = []
    for number in ids:
        seconds, _ = _timed(grammar.mask)
        spent.append(seconds)
        grammar.advance(number)
    return spent


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    main()
