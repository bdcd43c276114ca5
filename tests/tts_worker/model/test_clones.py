"""A voice from a recording, over real gRPC, by a model that has the encoder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch

from tests.tts_worker.harness import Worker
from tests.tts_worker.model.engines import TEXT, write_model
from tests.tts_worker.model.support import model
from tests.tts_worker.model.test_service import engine, serving
from tts_worker.model.checkpoint import export
from tts_worker.model.config import END


def recording(seed: int, seconds: float = 2.0) -> bytes:
    """Noise, loud enough."""
    return np.random.default_rng(seed).integers(-9000, 9000, round(seconds * 24_000), dtype="<i2").tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, those of the encoder too."""
    folder = write_model(tmp_path_factory.mktemp("clones"))
    made = model()
    with torch.no_grad():
        made.heads.semantic.weight[END] = 0
    export(made, folder / "consolidated.safetensors", torch.float32)
    return folder


@pytest.fixture
async def worker(folder: Path) -> AsyncIterator[Worker]:
    async with serving(engine(folder)) as one:
        yield one


def of(seed: int, **more: Any) -> dict[str, Any]:
    return {"reference_audio": recording(seed), "language": "en", "seed": 3} | more


async def test_the_recording_is_the_voice(worker: Worker) -> None:
    heard = await worker.say(TEXT, **of(1))
    assert heard.opened is not None
    assert heard.opened.voice == "reference"
    assert len(heard.audio) == 20
    assert (await worker.say(TEXT, **of(1))).sound() == heard.sound()
    assert (await worker.say(TEXT, **of(2))).sound() != heard.sound()
    assert (await worker.say(TEXT, **of(1, voice="fr_anna"))).sound() == heard.sound()
    assert (await worker.say(TEXT, voice="fr_anna", seed=3)).sound() != heard.sound()


async def test_beside_other_voices_it_sounds_as_alone(worker: Worker) -> None:
    wishes = [of(1), {"voice": "neutral_bert", "seed": 3}, of(2)]
    alone = [(await worker.say(TEXT, **wish)).sound() for wish in wishes]
    together = await asyncio.gather(*(worker.say(TEXT, **wish) for wish in wishes))
    for one, other in zip(together, alone, strict=True):
        difference = np.frombuffer(one.sound(), "<i2").astype(int) - np.frombuffer(other, "<i2").astype(int)
        assert np.abs(difference).max() <= 1


async def test_another_worker_goes_on_with_the_same_recording(worker: Worker, folder: Path) -> None:
    whole = await worker.say(TEXT, first_id=7, **of(1))
    async with serving(engine(folder)) as second:
        rest = await second.say(TEXT, first_id=7, **of(1, resume=whole.audio[8].resume))
        with pytest.raises(grpc.aio.AioRpcError, match="another model, voice, language, recording"):
            await second.say(TEXT, first_id=7, **of(2, resume=whole.audio[8].resume))
    wanted = np.frombuffer(b"".join(a.data for a in whole.audio[9:]), "<i2").astype(int)
    assert np.abs(np.frombuffer(rest.sound(), "<i2").astype(int) - wanted).max() <= 1


async def test_a_recording_that_fills_the_positions_is_refused_alone(worker: Worker) -> None:
    """30 s are 376 positions, more than these streams have."""
    beside, refused = await asyncio.gather(
        worker.say(TEXT, seed=1), worker.say(TEXT, **of(1, reference_audio=recording(1, 30.0))), return_exceptions=True
    )
    assert not isinstance(beside, BaseException)
    assert beside.done is not None
    assert isinstance(refused, grpc.aio.AioRpcError)
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.details() or "").startswith("open.reference_audio: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (of(1, language=""), "open.language: not given, and a recording does not tell it; valid: fr-FR, en-US, en-GB"),
        (of(1, language="de"), "open.language: 'de'; voice reference speaks fr-FR, en-US, en-GB"),
        (of(1, reference_audio=recording(1, 0.9)), "open.reference_audio: 21600 samples; valid: PCM_S16LE at 24000"),
        (of(1, reference_audio=bytes(96_000)), "open.reference_audio: 0.00 s of it are louder than -50 dBFS"),
    ],
)
async def test_what_is_no_voice(worker: Worker, options: dict[str, Any], words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await worker.say(TEXT, **options)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.value.details() or "").startswith(words)
