"""The engine as on a device that works beside the host, and with voices from recordings."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tts_worker.model.engines import TEXT, loaded, sound, speak, utterance, write_model
from tts_worker.engine import FRAME, Piece
from tts_worker.lane import Download, Lane
from tts_worker.model.prompt import voice_ids
from tts_worker.model.reference import voice_rows
from tts_worker.speaking import Speaking
from tts_worker.tuning import Tuning


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("nano"))


class Late(Download):
    """A copy that is there when it has been asked for a few times, or waited for."""

    def __init__(self, made: Download, after: int) -> None:
        super().__init__(made._tensors, None)
        self._after = after

    @property
    def ready(self) -> bool:
        self._after -= 1
        return self._after < 0


def test_as_on_a_device_that_works_beside_the_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps started ahead of the results, in a few shapes, prompts together, sound that comes later: the same sound."""
    texts = (TEXT, "Yes.", "No, thank you.", "Later, please.")
    one = loaded(folder, slots=4)
    wanted = [sound(speak(one, one.begin(utterance(text, seed=seed)))) for seed, text in enumerate(texts)]
    download = Lane.download
    delays = cycle((0, 3, 1, 2, 0, 4))
    monkeypatch.setattr(Lane, "download", lambda lane, *tensors: Late(download(lane, *tensors), next(delays)))
    busy = loaded(folder, slots=4, tuning=Tuning((2, 4), reach=48, prompts=4, ahead=1))
    speeches = [busy.begin(utterance(text, seed=seed)) for seed, text in enumerate(texts)]
    heard: dict[Speaking, list[np.ndarray]] = {speech: [] for speech in speeches}
    for _ in range(100):
        if going := [speech for speech in speeches if not speech.gone]:
            for speech, piece in zip(going, busy.step(going), strict=True):
                heard[speech] += [piece.samples] if isinstance(piece, Piece) else []
    for speech, whole in zip(speeches, wanted, strict=True):
        np.testing.assert_allclose(np.concatenate(heard[speech]), whole, atol=2e-5)
    again = busy.begin(utterance(TEXT, seed=0))  # in a slot for which a step may still be under way
    np.testing.assert_allclose(sound(speak(busy, again)), wanted[0], atol=2e-5)


def test_whoever_leaves_with_a_step_under_way_is_forgotten(folder: Path) -> None:
    one = loaded(folder, slots=1)
    wanted = sound(speak(one, one.begin(utterance())))
    busy = loaded(folder, slots=1, tuning=Tuning(ahead=1))
    for steps in (0, 1, 2, 5):
        leaving = busy.begin(utterance("Never mind."))
        for _ in range(steps):
            busy.step([leaving])
        busy.end(leaving)
        busy.end(leaving)  # twice is no error
        np.testing.assert_allclose(sound(speak(busy, busy.begin(utterance()))), wanted, atol=2e-5)


def recording(seed: int, seconds: float = 1.5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 24000)).astype(np.float32)


def test_a_voice_from_a_recording(tmp_path: Path, folder: Path) -> None:
    """It sounds as the same rows would sound as a preset; other recordings sound otherwise."""
    assert not loaded(folder).clones
    one = loaded(write_model(tmp_path, encoder=True))
    assert one.clones
    clip = recording(1)
    cloned = utterance(voice="reference", language="en-US", reference=clip, reference_key="first")
    whole = speak(one, one.begin(cloned))
    other = replace(cloned, reference=recording(2), reference_key="second")
    assert np.abs(sound(speak(one, one.begin(other))) - sound(whole)).max() > 1e-3
    runner, files = one._running()
    rows = voice_rows(files.model, torch.from_numpy(clip))
    assert len(rows) == -(-len(clip) // FRAME) + 1
    preset = runner.voice(voice_ids(files.tokenizer, len(rows)), rows)
    assert torch.equal(preset.cache.both, one._clones["first"].cache.both)
    rest = speak(one, one.begin(replace(cloned, piece=2, state=whole[2].state)))
    np.testing.assert_allclose(sound(rest), sound(whole[2:]), atol=2e-5)


def test_recordings_that_nobody_speaks_with_are_forgotten_in_the_end(tmp_path: Path) -> None:
    one = loaded(write_model(tmp_path, encoder=True))
    cloned = utterance("Yes.", voice="reference", language="en-US", reference=recording(1), reference_key="0")
    for key in range(20):
        speech = one.begin(replace(cloned, reference_key=str(key)))
        one.begin(replace(cloned, reference_key="0"))  # is in use all the time
        one.end(speech)
        one.end(next(entry.speech for entry in one._entries if not entry.speech.gone))
    assert list(one._clones) == [*map(str, range(5, 20)), "0"]
