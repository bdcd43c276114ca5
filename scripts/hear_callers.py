"""What the packaged recogniser makes of callers on the telephone: the errors that training conversations are given.

    python -m scripts.hear_callers record PAIRS.jsonl --count 4000
    python -m scripts.hear_callers table PAIRS.jsonl
    python -m scripts.hear_callers exam

`record` says phrases of simulated callers in the packaged voice (speed, pitch, background varied), sends them through
G.711 at 8 kHz, recognises them and appends what was said and heard; it goes on where it stopped. `table` counts what
became of which words and writes llm_worker/forge/lists/noise.json. `exam` does the same with the lines of the sixty
dialogues written by hand, each once, and writes what was heard to heard.json. One synthetic voice: real callers are
worse.
"""

import argparse
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import jiwer
import numpy as np
from tqdm import tqdm

from agent.audio import Samples
from llm_worker.forge.dialogue import dialogues
from llm_worker.forge.dialogue import lines as written
from llm_worker.forge.grammar import text
from llm_worker.forge.phrases import sample
from llm_worker.forge.practice import Person, Split, people
from loadtest.bench_words import to_mulaw
from loadtest.scenario import Noise, Voice
from loadtest.voice import Studio
from stt_worker.build import engine
from stt_worker.config import SttSettings
from stt_worker.sound import from_mulaw
from stt_worker.transcribe import recognise

LISTS = Path(__file__).parent.parent / "llm_worker" / "forge" / "lists"
TABLE, EXAM = LISTS / "noise.json", LISTS / "heard.json"
RATE = 8000
LEAD, TAIL = 0.2, 0.4
"""Seconds of silence around a sentence."""
BACKGROUNDS = (
    None,
    None,
    None,
    Noise(kind="pink", snr_db=20),
    Noise(kind="pink", snr_db=12),
    Noise(kind="babble", snr_db=15),
)
NAMES_SHARE = 0.45
"""Of the phrases, those that are names: where recognisers err most."""
LONGEST = 3
"""Words that one error may span."""


def lines(count: int) -> Iterator[str]:
    """What is said: phrases of both splits, each name at least once if `count` allows."""
    draw = random.Random(1)
    everybody: list[tuple[Split, Person]] = []
    splits: tuple[Split, Split] = ("train", "held")
    for split in splits:
        given, family = people(split)
        longest = max(len(given), len(family))
        both = zip(_filled(given, longest, draw), _filled(family, longest, draw), strict=True)
        everybody += [(split, Person(*names)) for names in both]
    draw.shuffle(everybody)
    for number in range(count):
        split, who = everybody[number % len(everybody)]
        act = draw.choice(["say.name", "say.name", "open.book"]) if draw.random() < NAMES_SHARE else ""
        yield text(sample(draw, split, act, who))


def _filled(names: Sequence[str], count: int, draw: random.Random) -> list[str]:
    return [*draw.sample(names, len(names)), *draw.choices(names, k=count - len(names))]


def record(path: Path, count: int) -> None:
    """Say and hear `count` lines, skipping those that the file has."""
    done = sum(1 for _ in path.open()) if path.exists() else 0
    telephone = Telephone()
    with path.open("a") as file:
        for number, line in enumerate(tqdm(lines(count), total=count, unit="line")):
            if number >= done:
                file.write(json.dumps([line, telephone.hear(line, number)]) + "\n")
                file.flush()


def exam() -> dict[str, str]:
    """What was heard of every line written by hand."""
    telephone = Telephone()
    said = [line for dialogue in dialogues() for line in written(dialogue)]
    return {line: telephone.hear(line, 1_000_000 + number) for number, line in enumerate(tqdm(said, unit="line"))}


class Telephone:
    """A voice, a line and a recogniser."""

    def __init__(self) -> None:
        self._studio, self._ears = Studio(), engine(SttSettings.read({"TRUNKLINE_STT_DECODERS": "1"}))
        self._beds = [self._studio.background(noise, seed=7) for noise in BACKGROUNDS]

    def hear(self, line: str, number: int) -> str:
        """What arrives of a line; voice and background follow from the number."""
        draw = random.Random(number)
        voice = Voice(speed=draw.uniform(0.85, 1.25), pitch=draw.uniform(0.8, 1.2), seed=number)
        sound = on_the_line(self._studio.clip(line, voice).samples, draw.choice(self._beds))
        return recognise(self._ears, sound, RATE).text


def on_the_line(clip: Samples, bed: Samples) -> Samples:
    """With silence and background around it, through G.711."""
    padded = np.pad(clip, (int(LEAD * RATE), int(TAIL * RATE))).astype(np.int32)
    if len(bed):
        padded += np.resize(bed, len(padded))
    return from_mulaw(to_mulaw(np.clip(padded, -32768, 32767).astype(np.int16)))


def table(path: Path) -> dict[str, object]:
    """Counts of what was heard for one to three words; words said, and those among them that were in an error."""
    said_count: Counter[str] = Counter()
    heard_for: dict[str, Counter[str]] = defaultdict(Counter)
    words = wrong = 0
    for line in path.read_text().splitlines():
        said, heard = json.loads(line)
        reference, hypothesis = said.split(), heard.split()
        if not hypothesis:
            continue
        words += len(reference)
        for size in range(1, LONGEST + 1):
            said_count.update(" ".join(map(bare, reference[at : at + size])) for at in range(len(reference) - size + 1))
        for first, last, became in errors(reference, hypothesis):
            wrong += last - first
            heard_for[" ".join(map(bare, reference[first:last]))][became] += 1
    entries = {
        key: [said_count[key], dict(became.most_common(12))]
        for key, became in sorted(heard_for.items())
        if key.strip() and said_count[key]
    }
    return {"words": words, "wrong": wrong, "pairs": len(path.read_text().splitlines()), "errors": entries}


def errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Stretches of up to three words said and what was heard in their place, as it was written."""
    plain = " ".join(bare(word) or "-" for word in reference), " ".join(bare(word) or "-" for word in hypothesis)
    (chunks,) = jiwer.process_words(*plain).alignments
    merged: list[list[int]] = []
    for chunk in chunks:
        if chunk.type == "equal":
            continue
        span = [chunk.ref_start_idx, chunk.ref_end_idx, chunk.hyp_start_idx, chunk.hyp_end_idx]
        if merged and merged[-1][1] == span[0] and merged[-1][3] == span[2]:
            merged[-1][1], merged[-1][3] = span[1], span[3]
        else:
            merged.append(span)
    for first, last, begin, end in merged:
        if first == last:  # words that nobody said belong to the word before, which is there
            first, begin = max(0, first - 1), max(0, begin - 1)
        if 0 < last - first <= LONGEST and end - begin <= LONGEST + 2:
            yield first, last, " ".join(hypothesis[begin:end])


def bare(word: str) -> str:
    """Small letters without punctuation at the ends."""
    return re.sub(r"^\W+|\W+$", "", word.lower())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m scripts.hear_callers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_ in (
        ("record", "say and hear phrases"),
        ("table", "count the errors and write the table"),
        ("exam", "hear the lines written by hand"),
    ):
        command = commands.add_parser(name, help=help_)
        if name == "exam":
            continue
        command.add_argument("pairs", type=Path, help="JSON lines of [said, heard]; keep it out of the repository")
        if name == "record":
            command.add_argument("--count", type=int, default=4000, help="lines in all; default: %(default)s")
    arguments = parser.parse_args()
    if arguments.command == "record":
        record(arguments.pairs, arguments.count)
        return
    if arguments.command == "exam":
        heard = exam()
        EXAM.write_text(json.dumps(heard, ensure_ascii=False, indent=0) + "\n")
        print(f"{len(heard)} lines, {sum(said != text for said, text in heard.items())} heard differently")
        return
    made = table(arguments.pairs)
    TABLE.write_text(json.dumps(made, ensure_ascii=False, indent=0) + "\n")
    print(f"{made['pairs']} lines, {made['words']} words, {made['wrong']} of them in an error; written to {TABLE.name}")


if __name__ == "__main__":
    main()
