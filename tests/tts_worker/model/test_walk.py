"""Phrases that come, wait, are given up, break and are resumed as it pleases: each sounds as it does alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from services.errors import Busy, InternalError
from tests.tts_worker.model.engines import TEXT, Ending, loaded, sound, speak, utterance, write_model
from tests.tts_worker.model.test_engine_device import Late
from tts_worker.engine import Piece, Utterance
from tts_worker.lane import Lane
from tts_worker.pieces import longest
from tts_worker.speaking import Speaking
from tts_worker.tuning import Tuning
from tts_worker.voxtral import VoxtralEngine

SLOTS, STEPS = 4, 220
PHRASES = (
    utterance(TEXT, seed=3),
    utterance("Yes.", seed=1),
    utterance("No, thank you.", voice="fr_anna", seed=8, guidance=1.0),
    utterance("Hi.", seed=10_000),
)
ENDS = {3: 20, 1: 1, 8: 13}
"""Frames of a phrase, by its seed; the others find no end."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("nano"))


def engine(folder: Path, tuning: Tuning | None) -> VoxtralEngine:
    """Its phrases end by their seeds."""
    one = loaded(folder, slots=SLOTS, ends_after=10_000, tuning=tuning)
    runner, _ = one._running()
    step = runner.step

    def ending(active: list[int]) -> Ending:
        seeds, numbers = runner._streams.seed[active].tolist(), runner._streams.number[active].tolist()
        overdue = [number - ENDS.get(seed, 10_000) for seed, number in zip(seeds, numbers, strict=True)]
        return Ending(step(active), overdue, 0)

    runner.step = ending  # type: ignore[method-assign,assignment]
    return one


@dataclass
class Course:
    """A phrase on its way."""

    wanted: np.ndarray
    heard: list[Piece]
    broken: bool = False

    def take(self, piece: object) -> bool:
        """Whether it is over."""
        if isinstance(piece, Piece):
            self.heard.append(piece)
            return piece.last
        assert piece is None or (self.broken and isinstance(piece, InternalError))
        return piece is not None

    def judge(self, whole: bool) -> None:
        """So far it sounds as alone; to its end, where `whole`."""
        mine = sound(self.heard) if self.heard else np.zeros(0, np.float32)
        assert len(mine) == len(self.wanted) if whole else len(mine) <= len(self.wanted)
        np.testing.assert_allclose(mine, self.wanted[: len(mine)], atol=2e-5)


class Walk:
    """Does one thing after another with an engine."""

    def __init__(self, one: VoxtralEngine, alone: dict[Utterance, list[Piece]], random: Random) -> None:
        self.one, self.alone, self.random = one, alone, random
        self.going: dict[Speaking, Course] = {}
        self.finished = self.given_up = self.broke = self.resumed = 0

    def do(self) -> None:
        what = self.random.random()
        if what < 0.15:
            self.begin()
        elif what < 0.17 and self.going:
            self.give_up(self.random.choice(list(self.going)))
        elif what < 0.18 and self.going:
            self.break_(self.random.choice(list(self.going)))
        else:
            some = [speech for speech in self.going if self.random.random() < 0.8]
            self.random.shuffle(some)
            self.step(some)

    def begin(self) -> None:
        given = self.random.choice(PHRASES)
        pieces = self.alone[given]
        first = self.random.choice((0, self.random.randrange(len(pieces))))
        taken = {speech.slot for speech in self.going if not speech.gone}  # who is gone has a last piece to hear
        if len(taken) == SLOTS:
            with pytest.raises(Busy):
                self.one.begin(given)
            return
        self.resumed += first > 0
        speech = self.one.begin(replace(given, piece=first, state=pieces[first].state) if first else given)
        assert speech.slot not in taken
        self.going[speech] = Course(sound(pieces[first:]), [])

    def step(self, some: list[Speaking]) -> None:
        for speech, piece in zip(some, self.one.step(some), strict=True):
            course = self.going[speech]
            if course.take(piece):
                del self.going[speech]
                course.judge(whole=isinstance(piece, Piece))
                self.finished += isinstance(piece, Piece)
                self.broke += not isinstance(piece, Piece)

    def give_up(self, speech: Speaking) -> None:
        self.one.end(speech)
        self.going.pop(speech).judge(whole=False)
        self.given_up += 1

    def break_(self, speech: Speaking) -> None:
        if speech.entered:
            runner, _ = self.one._running()
            runner._streams.state[speech.slot] = torch.nan
            self.going[speech].broken = True

    def empty(self) -> None:
        """Everybody speaks to the end."""
        for _ in range(2 * longest(TEXT)):
            self.step(list(self.going))
        assert not self.going
        self.one.step([])
        assert sorted(self.one._free) == list(range(SLOTS))
        assert not [*self.one._entries, *self.one._steps, *self.one._decodings, *self.one._ready]


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[Utterance, list[Piece]]:
    one = engine(folder, None)
    return {given: speak(one, one.begin(given)) for given in PHRASES}


def delays(seed: int) -> Iterator[int]:
    random = Random(seed)
    return (random.choice((0, 0, 1, 2, 4)) for _ in repeat(None))


@pytest.mark.parametrize("card", [False, True])
def test_each_phrase_sounds_as_alone(
    folder: Path, alone: dict[Utterance, list[Piece]], card: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if card:  # what it makes is there when the host has asked a few times
        download, late = Lane.download, delays(5)
        monkeypatch.setattr(Lane, "download", lambda lane, *tensors: Late(download(lane, *tensors), next(late)))
    walk = Walk(engine(folder, Tuning((1, 2, 4), reach=48, prompts=4, ahead=1) if card else None), alone, Random(11))
    for _ in range(STEPS):
        walk.do()
    walk.empty()
    assert min(walk.finished, walk.resumed) >= 4
    assert min(walk.given_up, walk.broke) >= 1
