"""A job that trains the smallest backbone on the codes of an untrained codec, which tell one tone from another."""

from pathlib import Path

import torch

from tests.tts_worker.forge.support import make_tones
from tts_worker.forge.codec import WEIGHTS, CodecTraining, codec_folder
from tts_worker.forge.codes import make_codes
from tts_worker.forge.examples import Example
from tts_worker.forge.speech import corpus_examples
from tts_worker.forge.speech_job import VoiceJob
from tts_worker.forge.weights import write_codec
from tts_worker.normalise import normalise


def job(folder: Path, **speech: object) -> VoiceJob:
    """Of config `nano`; its reference has 4 to 6 frames."""
    settings = {"steps": 6, "positions": 300, "prefix": (4, 6), "warm_up": 2, "save_every": 2} | speech
    fields = {"name": "test", "folder": folder, "config": "nano", "codec": {"threads": 1}, "speech": settings}
    return VoiceJob.model_validate(fields)


def prepare(of: VoiceJob, utterances: int = 5, seed: int = 0) -> list[Example]:
    """A corpus, a codec and its codes."""
    make_tones(of, utterances)
    renew_codec(of, seed)
    make_codes(of)
    return corpus_examples(of)


def renew_codec(of: VoiceJob, seed: int) -> None:
    """Another seed, another codec."""
    codec = CodecTraining(of.model_copy(update={"seed": seed}), "cpu")
    codec.nets.decoder.quantiser.embedding_sum.normal_(generator=torch.Generator().manual_seed(seed))
    codec.nets.decoder.quantiser.cluster_usage.fill_(1)
    codec_folder(of).mkdir(exist_ok=True)
    write_codec(codec.nets, codec.model, codec_folder(of) / WEIGHTS)


def said(one: Example) -> str:
    """The text as the engine reads it."""
    return normalise(one.clip.line.text, "en-US").text
