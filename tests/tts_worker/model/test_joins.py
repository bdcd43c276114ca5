"""Joins in what random weights say: phrases begin and end anywhere in a swing, and yet without a click."""

import re
from pathlib import Path

import pytest
import torch

from tests.tts_worker.model.engines import POSITIONS, TEXT, loaded, write_model
from tests.tts_worker.model.support import NANO, model
from tts_worker import speaking
from tts_worker.casting import Open
from tts_worker.engine import Sound
from tts_worker.listen import Trial, joins_of, joins_of_trial
from tts_worker.model.checkpoint import export
from tts_worker.model.config import END
from tts_worker.model.files import Files
from tts_worker.request import Phrase
from tts_worker.room import Room
from tts_worker.say import perform
from tts_worker.sound import Encoding
from tts_worker.studio import Studio
from tts_worker.voxtral import VoxtralEngine

TEXTS = (TEXT, "Yes.", "And another one.")
SHORT = ("Yes.", "No.", "Hm.", "Oh.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, but the codec's last layer draws lines from one random number to the next, 100 a second: so a
    step in the sound is that of a join, while other random weights are steps all along."""
    folder = write_model(tmp_path_factory.mktemp("swinging"))
    made = model()
    made.encoder = None
    weight = made.decoder.convolutions[-1].kernel
    patch, channels, taps = weight.direction.shape
    level = torch.randn(channels, generator=torch.Generator().manual_seed(1)) * 0.3
    share = torch.arange(1, patch + 1)[:, None] / patch
    with torch.no_grad():
        made.heads.semantic.weight[END] = 0
        weight.direction.zero_()
        weight.direction[:, :, taps - 1], weight.direction[:, :, taps - 2] = share * level, (1 - share) * level
        weight.gain.copy_(weight.direction.flatten(1).norm(dim=1)[:, None, None])
    export(made, folder / "consolidated.safetensors", torch.float32)
    return folder


async def clicks(folder: Path, rate: int, ends_after: int) -> dict[str, float]:
    """The worst of each kind of join."""
    engine = loaded(folder, ends_after=ends_after)
    engine.load = lambda: None  # type: ignore[method-assign]  # it is loaded, and its ends are set
    stage = Studio(lambda: engine, 1, 4)
    try:
        await stage.start()
        opening = Open(sample_rate=rate, encoding=Encoding.PCM_S16LE, seed=1)
        joins = joins_of(await perform(stage, opening, [Phrase(i, text) for i, text in enumerate(TEXTS)]), rate)
    finally:
        await stage.close()
    kinds = {"beginning": "outer", "end": "outer", "piece": "pieces"}
    worst: dict[str, float] = {}
    for join in joins:
        kind = next((kind for word, kind in kinds.items() if word in join.where), "phrases")
        worst[kind] = max(worst.get(kind, 0), join.seam.click)
    return worst


async def test_before_the_first_caller_it_is_known_what_one_more_costs(folder: Path) -> None:
    engine = loaded(folder, ends_after=20)
    engine.load = lambda: None  # type: ignore[method-assign]
    stage = Studio(lambda: engine, 1, 4)
    line = stage._desks[0].line
    assert line.step_time is not None
    line.step_time.observe = lambda streams, seconds, prompts: seen.add(streams)  # type: ignore[method-assign,misc,assignment]
    seen: set[int] = set()
    try:
        await stage.start()
    finally:
        await stage.close()
    assert {1, min(4, engine.batch)} <= seen


def unchanged(samples: Sound) -> Sound:
    return samples


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
@pytest.mark.parametrize("ends_after", [1, 20])
async def test_no_join_is_a_click(folder: Path, rate: int, ends_after: int) -> None:
    """A phrase of one frame has been sent as one that goes on: what follows it is the fall to silence."""
    assert max((await clicks(folder, rate, ends_after)).values()) < 1.5


async def test_without_fades_phrases_click_and_pieces_do_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "fade_in", unchanged)
    monkeypatch.setattr(speaking, "fade_out", unchanged)
    worst = await clicks(folder, 24_000, 20)
    assert worst["outer"] > 3
    assert worst["phrases"] > 3
    assert worst["pieces"] < 1.5


@pytest.mark.parametrize("rate", [8000, 24000])
async def test_in_bfloat16_a_second_worker_sounds_otherwise_and_its_join_cannot_be_heard(
    folder: Path, rate: int
) -> None:
    """A prompt is summed in another order than steps are, which in eight bits is seen in the samples: they are not what
    the first worker would have said, but go on from where it was."""

    def worker() -> Studio:
        files = Files(folder, torch.bfloat16, "cpu")
        room = Room(3 * Room(0, POSITIONS).of_one(NANO, 2), POSITIONS)
        return Studio(lambda: VoxtralEngine(files, room), 1, 4)

    trial = Trial(SHORT, resume=True, voice="", language="", rate=rate, seed=1)
    joins = [join for join in await joins_of_trial(worker, trial) if "worker" in join.where]
    assert len(joins) == len(SHORT)
    off = [float(number) for join in joins for number in re.findall(r"differs by ([\d.]+)", join.where)]
    assert max(off) > 0.002  # in float32 it is the last of 16 bits
    assert not any(join.seam.audible for join in joins)
    assert max(join.seam.click for join in joins) < 1.5
