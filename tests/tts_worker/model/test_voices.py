"""The published voices, with random weights, as `ListVoices` shows them."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from protos import text_to_speech_pb2 as pb
from tests.tts_worker.harness import running
from tests.tts_worker.model.engines import write_model
from tests.tts_worker.model.support import NANO
from tests.tts_worker.model.test_service import engine
from tts_worker.model.voices import write_voice
from tts_worker.samples import sample_text

PUBLISHED = (
    "casual_female", "casual_male", "cheerful_female", "neutral_female", "neutral_male", "pt_male", "pt_female",
    "nl_male", "nl_female", "it_male", "it_female", "fr_male", "fr_female", "es_male", "es_female", "de_male",
    "de_female", "ar_male", "hi_male", "hi_female",
)  # fmt: skip
"""In the order of the published params.json."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_model(tmp_path_factory.mktemp("voices"))
    for path in (folder / "voice_embedding").iterdir():
        path.unlink()
    for seed, name in enumerate((*PUBLISHED, "a_new_one")):
        rows = torch.randn(4, NANO.dim, generator=torch.Generator().manual_seed(seed))
        write_voice(folder / "voice_embedding", name, rows)
    params = json.loads((folder / "params.json").read_text("utf-8"))
    params["multimodal"]["audio_tokenizer_args"]["voice"] = {name: i for i, name in enumerate(PUBLISHED)}
    (folder / "params.json").write_text(json.dumps(params), encoding="utf-8")
    return folder


async def test_twenty_voices_in_nine_languages_are_listed_as_published_and_speak(folder: Path) -> None:
    async with running(lambda: engine(folder, slots=8, ends_after=30)) as worker:
        voices = (await worker.stub.ListVoices(pb.ListVoicesRequest())).voices
        assert [voice.name for voice in voices] == [*PUBLISHED, "a_new_one"]
        assert Counter(voice.languages[0].split("-")[0] for voice in voices) == {
            "en": 6, "pt": 2, "nl": 2, "it": 2, "fr": 2, "es": 2, "de": 2, "ar": 1, "hi": 2
        }  # fmt: skip
        assert {len(voice.sample) for voice in voices} == {30 * 1280 * 2}
        assert len({bytes(voice.sample) for voice in voices}) == len(voices)
        for language, names in (("fr", ["fr_male", "fr_female"]), ("hi-IN", ["hi_male", "hi_female"]), ("ja", [])):
            found = (await worker.stub.ListVoices(pb.ListVoicesRequest(language=language))).voices
            assert [voice.name for voice in found] == names
        heard = await worker.say("Hello.")
        assert heard.opened is not None
        assert heard.opened.voice == "casual_female"


def test_samples_are_said_in_nine_languages() -> None:
    tags = ("en-US", "fr-FR", "de-DE", "es-ES", "nl-NL", "pt-BR", "it-IT", "hi-IN", "ar")
    assert len({sample_text(tag) for tag in tags}) == 9
    assert sample_text("ja") == sample_text("en")
