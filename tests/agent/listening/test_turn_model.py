"""The turn model equals the one of the package that its file comes from, alone and among others."""

import asyncio
import threading

import numpy as np
import pytest
import soxr
from pytest_audioeval.samples.registry import SampleLang, SampleRegistry

from agent.audio import Samples
from agent.listening.features import log_mel
from agent.listening.models import SMART_TURN, model_path
from agent.listening.turn_model import TurnModel
from services.errors import Busy, Unavailable
from tests.waiting import LONG, until

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def recordings() -> list[Samples]:
    """Three English sentences at 16 kHz, the last one cut in the middle."""
    found = [(s.audio_numpy() * 32767).astype(np.int16) for s in SampleRegistry().by_lang(SampleLang.EN)]
    return [*found[:2], found[2][: len(found[2]) // 2]]


def reference(samples: Samples, rate: int) -> float:
    """Pipecat's features (its own code) and a session of its own."""
    import onnxruntime

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "wait_for", asyncio.wait_for)  # which pipecat replaces for the whole process
        from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

    sound = samples.astype(np.float32) / 32768
    sound = soxr.resample(sound, rate, 16000, quality="HQ") if rate != 16000 else sound
    padded = np.pad(sound[-128000:], (max(0, 128000 - len(sound)), 0))
    session = onnxruntime.InferenceSession(str(model_path(SMART_TURN)), providers=["CPUExecutionProvider"])
    features = compute_whisper_log_mel_features(padded, do_normalize=True)
    np.testing.assert_allclose(log_mel(sound), features, atol=5e-5)  # ours are of single precision
    return float(session.run(None, {"input_features": features[None]})[0][0, 0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_probabilities_equal_the_reference(recordings: list[Samples]) -> None:
    telephone = soxr.resample(recordings[0].astype(np.float32), 16000, 8000).astype(np.int16)
    long = np.concatenate([recordings[0]] * 4)
    async with TurnModel() as model:
        for samples, rate in [*((r, 16000) for r in recordings), (telephone, 8000), (long, 16000)]:
            assert await model.complete(samples, rate) == pytest.approx(reference(samples, rate), abs=3e-3)


async def test_calls_that_ask_together_get_their_own_answers(recordings: list[Samples]) -> None:
    async with TurnModel() as model:
        alone = [await model.complete(samples, 16000) for samples in recordings]
        together = await asyncio.gather(*(model.complete(samples, 16000) for samples in recordings * 2))
    assert together == pytest.approx(alone * 2, abs=1e-3)
    assert len({round(p, 3) for p in alone}) == 3


async def test_the_loop_goes_on_while_the_model_works(recordings: list[Samples]) -> None:
    async with TurnModel() as model:
        question = asyncio.create_task(model.complete(recordings[0], 16000))
        turns = 0
        while not question.done():
            await asyncio.sleep(0)
            turns += 1
    assert turns > 10


async def test_too_many_questions_are_refused(recordings: list[Samples]) -> None:
    begun, release = threading.Event(), threading.Event()

    def occupy() -> None:
        begun.set()
        release.wait(LONG)

    async with TurnModel(limit=2) as model:
        busy = asyncio.create_task(model._thread.run(occupy))
        await until(begun.is_set)
        questions = [asyncio.create_task(model.complete(recordings[0], 16000)) for _ in range(8)]
        await until(lambda: sum(question.done() for question in questions) == 6)
        release.set()
        answers = await asyncio.gather(*questions, return_exceptions=True)
        await busy
        refused = [answer for answer in answers if isinstance(answer, Busy)]
        given = [answer for answer in answers if isinstance(answer, float)]
        assert (len(refused), len(given)) == (6, 2)
        assert await model.complete(recordings[0], 16000) == pytest.approx(given[0], abs=1e-3)


async def test_a_withdrawn_question_costs_nothing(recordings: list[Samples]) -> None:
    async with TurnModel() as model:
        tasks = [asyncio.create_task(model.complete(recordings[0], 16000)) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        assert 0 <= await tasks[0] <= 1
        await asyncio.gather(*tasks, return_exceptions=True)
        assert 0 <= await model.complete(recordings[1], 16000) <= 1
    with pytest.raises(Unavailable):
        await model.complete(recordings[0], 16000)
