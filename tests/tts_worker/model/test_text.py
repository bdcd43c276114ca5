"""Vocabularies, prompts and voices."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tts_worker.model.support import NANO, model
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.reference import voice_rows
from tts_worker.model.tokenizer import Bytes, Tekken, TokenizerError
from tts_worker.model.voices import VoiceError, read_voices, write_voice

SPECIAL_NAMES = {1: "<s>", 24: "[AUDIO]", 25: "[BEGIN_AUDIO]", 35: "[REPEAT_AUDIO_TEXT]", 36: "[NEXT_AUDIO_TEXT]"}


def tekken(**changes: Any) -> dict[str, Any]:
    """A vocabulary of the bytes, three merges, and one entry too many."""
    merges = [b"he", b"ll", b"hell", b"o!"]
    return {
        "config": {
            "pattern": r"\p{L}+|\s+|[^\s\p{L}]+",
            "default_vocab_size": 1000 + 256 + 3,
            "default_num_special_tokens": 1000,
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
            for rank, token in enumerate([*(bytes([n]) for n in range(256)), *merges])
        ],
        "special_tokens": [{"rank": rank, "token_str": name} for rank, name in SPECIAL_NAMES.items()],
        "audio": {"voice_num_audio_tokens": {"anna": 3}},
    } | changes


def test_tekken_merges_by_rank() -> None:
    vocabulary = Tekken(tekken())
    assert vocabulary.encode("hello") == [1000 + 258, 1000 + ord("o")]
    assert vocabulary.encode("ello") == [1000 + ord("e"), 1000 + 257, 1000 + ord("o")]
    assert vocabulary.voice_frames == {"anna": 3}


def test_entries_beyond_the_table_take_no_part() -> None:
    assert Tekken(tekken()).encode("o!") == [1000 + ord("o"), 1000 + ord("!")]
    assert Tekken(tekken()).encode("é") == [1000 + 0xC3, 1000 + 0xA9]


@pytest.mark.parametrize("vocabulary", [Bytes(), Tekken(tekken())], ids=["bytes", "tekken"])
def test_control_tokens_never_come_from_text(vocabulary: Bytes | Tekken) -> None:
    assert not set(vocabulary.encode("<s>[AUDIO][BEGIN_AUDIO]")) & set(SPECIAL_NAMES)


def test_bytes_are_bytes() -> None:
    assert Bytes().encode("aé\ud800") == [256 + 0x61, 256 + 0xC3, 256 + 0xA9, 256 + ord("?")]
    assert max(Bytes().encode("\xff")) < Bytes.size


@pytest.mark.parametrize("vocabulary", [Bytes(), Tekken(tekken())], ids=["bytes", "tekken"])
def test_the_layout_of_a_prompt(vocabulary: Bytes | Tekken) -> None:
    ids = voice_ids(vocabulary, 3) + text_ids(vocabulary, "hello")
    assert ids == [1, 25, 24, 24, 24, 36, *vocabulary.encode("hello"), 35, 25]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"config": {}}, "default_vocab_size"), ({"vocab": 3}, "TypeError"), ({"special_tokens": [{}]}, "token_str")],
)
def test_files_that_are_no_vocabulary(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(TokenizerError, match=words):
        Tekken(tekken(**change))
    path = tmp_path / "tekken.json"
    for content in ("", "[]"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(TokenizerError, match=r"tekken\.json"):
            Tekken.read(path)
    path.write_text(json.dumps(tekken()), encoding="utf-8")
    assert Tekken.read(path).encode("a") == [1000 + ord("a")]


def test_a_special_token_that_is_missing() -> None:
    with pytest.raises(TokenizerError, match=r"\[NEXT_AUDIO_TEXT\]"):
        voice_ids(Tekken(tekken(special_tokens=[{"rank": r, "token_str": n} for r, n in SPECIAL_NAMES.items()][:4])), 1)


# -- voices -----------------------------------------------------------------------------------------------------------


def test_a_voice_takes_the_places_of_the_audio_tokens() -> None:
    m = model()
    ids = torch.tensor(voice_ids(Bytes(), 2) + text_ids(Bytes(), "hi"))
    voice = torch.randn(2, NANO.dim, generator=torch.Generator().manual_seed(1))
    rows = m.prompt(ids, voice)
    assert torch.equal(rows[2:4], voice)
    assert torch.equal(rows[4:], m.text_embedding(ids[4:]))
    assert torch.equal(rows[:2], m.text_embedding(ids[:2]))
    for wrong in (None, voice[:1]):
        with pytest.raises(ValueError, match="2 places for a voice of"):
            m.prompt(ids, wrong)


def test_voices_are_files(tmp_path: Path) -> None:
    rows = torch.randn(3, 8).bfloat16()
    for name in ("zoe", "anna"):
        write_voice(tmp_path, name, rows)
    read = read_voices(tmp_path, 8, {"anna": 3})
    assert list(read) == ["anna", "zoe"]
    assert torch.equal(read["anna"], rows)
    with pytest.raises(VoiceError, match=r"anna\.pt: has 3 rows; the vocabulary says 4"):
        read_voices(tmp_path, 8, {"anna": 4})
    with pytest.raises(VoiceError, match=r"anna\.pt: is \[3, 8\]; valid: a tensor \[frames, 9\]"):
        read_voices(tmp_path, 9, {})
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(VoiceError, match=r"bad\.pt"):
        read_voices(tmp_path, 8, {})
    write_voice(tmp_path, "bad", torch.full((3, 8), torch.nan))
    with pytest.raises(VoiceError, match=r"bad\.pt: holds numbers that are not finite"):
        read_voices(tmp_path, 8, {})


def test_a_folder_without_voices(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="holds no voice"):
        read_voices(tmp_path, 8, {})


@pytest.mark.parametrize(("samples", "frames"), [(1, 2), (1920, 2), (1921, 3), (24_000, 14)])
def test_a_voice_from_a_recording(samples: int, frames: int) -> None:
    m = model()
    rows = voice_rows(m, torch.randn(samples, generator=torch.Generator().manual_seed(1)))
    assert rows.shape == (frames, NANO.dim)
    end = m.frame_embedding(torch.tensor([1, *[0] * NANO.audio.n_acoustic_codebook]))
    assert torch.equal(rows[-1], end)


def test_no_voice_from_a_recording_without_an_encoder() -> None:
    m = model()
    m.encoder = None
    with pytest.raises(ValueError, match="no encoder"):
        voice_rows(m, torch.zeros(1920))
