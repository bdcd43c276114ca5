"""The real model: human and synthetic speech through the telephone, noise, names, long recordings."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soxr
from hibari import Hibari
from pytest_audioeval.samples.registry import SampleRegistry

from loadtest.bench_words import comparable, to_mulaw
from stt_worker.config import SttSettings
from stt_worker.engine import ModelError, Utterance, Waveform
from stt_worker.sound import Pcm, from_mulaw, to_waveform
from stt_worker.transcribe import recognise
from stt_worker.transcript import Understood
from stt_worker.whisper import WhisperEngine, model_directory
from tests.stt_worker.calling import RATE, silence

pytestmark = pytest.mark.models
HUMAN = SampleRegistry()


@pytest.fixture(scope="module")
def engine() -> WhisperEngine:
    return WhisperEngine(SttSettings(decoders=2, device="cpu"))


@pytest.fixture(scope="module")
def say() -> Callable[[str], Pcm]:
    voice = Hibari(threads=1)
    return lambda text: telephone(voice(text, seed=1), voice.sample_rate)


def telephone(sound: Waveform, rate: int) -> Pcm:
    """What is left after 8 kHz and µ-law."""
    narrow = soxr.resample(sound, rate, RATE) * 20_000
    return from_mulaw(to_mulaw(narrow.astype(np.int16)))


def never() -> bool:
    return False


@pytest.mark.parametrize("name", ["counting", "hello_world", "quick_brown_fox"])
def test_human_speech_through_the_telephone(engine: WhisperEngine, name: str) -> None:
    sample = getattr(HUMAN, f"en_{name}")
    heard = recognise(engine, telephone(sample.audio_numpy(), sample.sample_rate), RATE)
    assert comparable(heard.text) == comparable(sample.reference_text)


def noises() -> dict[str, np.ndarray]:
    random, time = np.random.default_rng(2), np.arange(2 * RATE) / RATE
    clicks = np.zeros(2 * RATE)
    clicks[::1600] = 1
    return {
        "white": random.standard_normal(2 * RATE) / 20,
        "short": random.standard_normal(RATE // 3) / 10,
        "hum": sum(np.sin(2 * np.pi * 50 * n * time) / n for n in range(1, 8)) / 30,
        "tone": np.sin(2 * np.pi * 440 * time) / 10,
        "clicks": clicks,
        "breath": np.convolve(random.standard_normal(RATE), np.ones(8) / 8, "same") * np.hanning(RATE) / 10,
    }


@pytest.mark.parametrize("hints", [(), ("Oduya", "Hathaway", "Szymanski", "Kovalenko")])
@pytest.mark.parametrize("noise", noises())
def test_noise_is_not_turned_into_words(engine: WhisperEngine, noise: str, hints: tuple[str, ...]) -> None:
    sound = telephone(noises()[noise].astype(np.float32), RATE)
    decoding = engine.decode(Utterance(to_waveform(sound, RATE), hints=hints, words=True), never)
    assert decoding is not None
    assert (decoding.text, decoding.words) == ("", ())
    assert decoding.no_speech > 0.4


def test_words_have_times_and_confidences(engine: WhisperEngine, say: Callable[[str], Pcm]) -> None:
    lead = RATE
    sentence = "I would like to book an appointment for Tuesday."
    clip = say(sentence)
    heard = recognise(engine, np.concatenate([silence(1), clip, silence(1)]), RATE)
    assert " ".join(word.text for word in heard.words) == heard.text
    assert comparable(heard.text) == comparable(sentence)
    bounds = [bound for word in heard.words for bound in (word.first, word.end)]
    assert bounds == sorted(bounds)
    assert lead <= bounds[0] < lead + RATE
    assert lead + len(clip) - RATE < bounds[-1] <= lead + len(clip) + RATE // 2
    assert all(0 <= word.confidence <= 1 for word in heard.words)
    assert np.mean([word.confidence for word in heard.words]) > 0.8


def test_what_is_written_in_one_is_one_word(engine: WhisperEngine, say: Callable[[str], Pcm]) -> None:
    clip = say("My number is five five five, zero one nine two.")
    heard = recognise(engine, clip, RATE, ("Oduya",))
    assert heard.words[-1].text == "555-0192."
    assert heard.text.endswith(" 555-0192.")
    assert heard.words[-1].end - heard.words[-1].first > RATE


def test_hints_bring_out_a_name_among_decoys_and_decoys_stay_away(
    engine: WhisperEngine, say: Callable[[str], Pcm]
) -> None:
    clip = say("I have an appointment with Doctor Delacroix on Thursday.")
    decoys = ("Hollingsworth", "Petrova", "Nakagawa", "Adeyemi", "Lindqvist", "Moreau", "Chaudhry", "Beauchamp")

    def heard(*hints: str) -> Understood:
        return recognise(engine, clip, RATE, hints)

    assert "Delacroix" in heard(*decoys[:4], "Delacroix", *decoys[4:]).text
    assert not any(decoy in heard(*decoys).text for decoy in decoys)


def test_a_recording_of_a_minute_is_understood_whole(engine: WhisperEngine, say: Callable[[str], Pcm]) -> None:
    sentences = [f"This is sentence number {n} of a long story." for n in range(10, 26)]
    clips = [np.concatenate([say(sentence), silence(0.3)]) for sentence in sentences]
    heard = recognise(engine, np.concatenate(clips), RATE)
    numbers = [word for word in comparable(heard.text).split() if word.isdigit()]
    assert numbers == [str(n) for n in range(10, 26)]
    starts = [word.first for word in heard.words]
    assert starts == sorted(starts)


def test_speech_longer_than_the_short_window_is_decoded_in_a_longer_one(
    engine: WhisperEngine, say: Callable[[str], Pcm]
) -> None:
    clip = np.concatenate([say("What time do you open?"), silence(9), say("Thank you very much.")])
    decoding = engine.decode(Utterance(to_waveform(clip, RATE)), never)
    assert decoding is not None
    assert comparable(decoding.text) == "what time do you open thank you very much"


def test_decodes_side_by_side_equal_decodes_alone(engine: WhisperEngine, say: Callable[[str], Pcm]) -> None:
    utterances = [
        Utterance(to_waveform(say(f"The number is {n} hundred."), RATE), words=True) for n in ("two", "five", "nine")
    ]
    alone = [engine.decode(utterance, never) for utterance in utterances]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda utterance: engine.decode(utterance, never), utterances))
    assert together == alone


def test_it_gives_up_between_its_steps_and_knows_its_language(engine: WhisperEngine) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    assert engine.decode(Utterance(noise), lambda: True) is None
    assert engine.understands("")
    assert engine.understands("en-GB")
    assert not engine.understands("fr")


def test_models_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model.bin, config.json, tokenizer.json missing"):
        model_directory(str(tmp_path))
    with pytest.raises(ModelError, match="no such directory"):
        model_directory("no-such-size")
    with pytest.raises(ModelError, match="does not know it"):
        WhisperEngine(SttSettings(language="fr", device="cpu"))
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (broken / name).symlink_to(model_directory("") / name)
    (broken / "model.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot load the model in"):
        WhisperEngine(SttSettings(model=str(broken), device="cpu"))
