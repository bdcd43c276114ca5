"""The engine in front of the runner: pieces, slots, resumption, and what goes wrong."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from services.errors import Busy, InternalError, InvalidRequest
from tests.tts_worker.model.engines import TEXT, loaded, sound, speak, utterance, write_model
from tests.tts_worker.model.support import model
from tts_worker.engine import FRAME, EngineError, Piece
from tts_worker.model.checkpoint import export
from tts_worker.model.files import Files
from tts_worker.pieces import BOUNDARIES, longest, piece_length, piece_start
from tts_worker.room import Room
from tts_worker.voxtral import VoxtralEngine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("nano"))


@pytest.fixture
def engine(folder: Path) -> VoxtralEngine:
    return loaded(folder)


def test_the_first_piece_is_one_frame_and_later_ones_are_longer(engine: VoxtralEngine) -> None:
    pieces = speak(engine, engine.begin(utterance()))
    assert [piece.frames for piece in pieces] == [1, 1, 2, 4, 6, 6]
    assert [piece.last for piece in pieces] == [False] * 5 + [True]
    assert pieces[0].samples.dtype == np.float32
    assert engine.step([engine.begin(utterance())])[0] is not None  # after one step


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6, 7, 12, 13, 18])
def test_every_length_ends_with_a_last_piece(folder: Path, frames: int) -> None:
    one = loaded(folder, ends_after=frames)
    pieces = speak(one, one.begin(utterance()))
    assert sum(piece.frames for piece in pieces) == frames + (frames == 1)  # the first leaves before the end is known
    assert pieces[-1].marks[-1].code_point == len(TEXT)


def test_spans_cover_the_text_in_order(engine: VoxtralEngine) -> None:
    for _ in range(3):  # the pace is learned meanwhile
        pieces = speak(engine, engine.begin(utterance()))
        points = [mark.code_point for piece in pieces for mark in piece.marks]
        assert points == sorted(points)
        assert (points[0], points[-1]) == (0, len(TEXT))
        assert all(piece.marks[-1].sample == piece.frames * FRAME for piece in pieces)
    middle = [piece.marks[-1].code_point for piece in pieces][4]
    assert 0.4 * len(TEXT) < middle < 0.8 * len(TEXT)  # 14 of 20 frames


def test_spans_are_of_the_text_as_it_was_sent(folder: Path) -> None:
    """What the model reads is longer: "$1,200 (net)" is "one thousand two hundred dollars – net."."""
    text = "$1,200 (net)\n"
    for voice, language, words in (
        ("neutral_bert", "", "one thousand two hundred dollars – net."),
        ("neutral_bert", "en-GB", "one thousand two hundred dollars – net."),
        ("fr_anna", "", "un virgule deux zéro zéro dollars – net."),
        ("fr_anna", "en", "one thousand two hundred dollars – net."),
    ):
        engine = loaded(folder)
        speech = engine.begin(utterance(text, voice, language=language))
        assert speech.spoken.text == words
        pieces = speak(engine, speech)
        points = [mark.code_point for piece in pieces for mark in piece.marks]
        assert points == sorted(points)
        assert (points[0], points[-1]) == (0, len(text))
        assert max(points[:-1]) < len(text)
        assert pieces[0].marks[-1].code_point <= 1  # one of 20 frames: still in the amount


def test_phrases_in_a_batch_sound_as_alone(folder: Path) -> None:
    one = loaded(folder)
    alone = [
        sound(speak(one, one.begin(utterance(text, seed=seed)))) for seed, text in enumerate((TEXT, "Yes.", "No."))
    ]
    speeches = {one.begin(utterance(TEXT, seed=0)): 0, one.begin(utterance("Yes.", seed=1)): 1}
    heard: list[list[np.ndarray]] = [[], [], []]
    for step in range(60):
        if step == 4:
            speeches[one.begin(utterance("No.", seed=2))] = 2
        active = list(speeches)
        if not active:
            break
        for speech, piece in zip(active, one.step(active), strict=True):
            if isinstance(piece, Piece):
                heard[speeches[speech]].append(piece.samples)
                if piece.last:
                    del speeches[speech]
    for together, wanted in zip(heard, alone, strict=True):
        np.testing.assert_allclose(np.concatenate(together), wanted, atol=2e-5)


@pytest.mark.parametrize("index", range(6))
def test_another_engine_goes_on_from_any_piece(folder: Path, index: int) -> None:
    whole = speak(first := loaded(folder), first.begin(utterance()))
    second = loaded(folder)
    rest = speak(second, second.begin(utterance(piece=index, state=whole[index].state)))
    assert [piece.frames for piece in rest] == [piece.frames for piece in whole[index:]]
    np.testing.assert_allclose(sound(rest), sound(whole[index:]), atol=2e-5)
    for piece, wanted in zip(rest, whole[index:], strict=True):
        assert piece.state == wanted.state
        np.testing.assert_allclose(piece.before, wanted.before, atol=2e-5)


def test_those_who_speak_wait_for_one_prompt_at_a_time(engine: VoxtralEngine) -> None:
    first = engine.begin(utterance())
    assert engine.step([first])[0] is not None
    crowd = [first, engine.begin(utterance("Yes.")), engine.begin(utterance("No."))]
    assert [speech.entered for speech in crowd] == [True, False, False]
    engine.step(crowd)
    assert [speech.made for speech in crowd] == [2, 1, 0]
    engine.step(crowd)
    assert [speech.made for speech in crowd] == [3, 2, 1]


def test_slots_are_given_back(engine: VoxtralEngine) -> None:
    speeches = [engine.begin(utterance()) for _ in range(3)]
    with pytest.raises(Busy, match="all 3 slots"):
        engine.begin(utterance())
    engine.end(speeches[1])
    again = engine.begin(utterance("Again."))
    assert again.slot == 1
    speak(engine, again)
    assert engine.begin(utterance()).slot == 1  # the last piece gave it back


def test_a_runaway_is_ended(folder: Path) -> None:
    one = loaded(folder, ends_after=10_000)
    pieces = speak(one, one.begin(utterance("Hi.")))
    assert sum(piece.frames for piece in pieces) == longest("Hi.") == 39


def test_numbers_that_are_not_finite_end_one_phrase(folder: Path) -> None:
    one = loaded(folder)
    alone = sound(speak(one, one.begin(utterance())))
    good, bad = one.begin(utterance()), one.begin(utterance("Broken."))
    assert one._runner is not None
    one.step([])  # reads a prompt
    one.step([])
    one._runner._streams.state[bad.slot] = torch.nan
    first, second = one.step([good, bad])
    assert isinstance(second, InternalError)
    assert isinstance(first, Piece)
    np.testing.assert_allclose(sound([first, *speak(one, good)]), alone, atol=2e-5)
    assert one.begin(utterance()).slot in (0, 1)


@pytest.mark.parametrize("where", ["begin", "decode"])
def test_memory_that_runs_out_ends_only_who_wanted_more(
    folder: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    one = loaded(folder)
    alone = sound(speak(one, one.begin(utterance())))
    good = one.begin(utterance())
    pieces = one.step([good])
    bad = one.begin(utterance("Too much."))
    with monkeypatch.context() as patch:
        if where == "decode":
            assert one.step([]) == []  # reads the prompt
        patch.setattr(one._runner, where, full)
        answers = one.step([bad])
    assert isinstance(answers[0], Busy)
    assert len({one.begin(utterance()).slot for _ in range(2)}) == 2  # no slot was lost
    heard = [piece for piece in pieces if isinstance(piece, Piece)] + speak(one, good)
    np.testing.assert_allclose(sound(heard), alone, atol=2e-5)


def test_a_device_without_room_is_said_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("wanted 3 GiB")

    monkeypatch.setattr("tts_worker.voxtral.Runner.voice", full)
    with pytest.raises(EngineError, match="3 slots do not fit into the device's memory: wanted 3 GiB"):
        loaded(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speed": 1.5}, "open.speed: 1.5"),
        ({"text": "a" * 300}, "phrase.text: 300 characters; a phrase has room for about "),
        ({"state": b"abc"}, "open.resume"),
    ],
)
def test_what_cannot_be_spoken(engine: VoxtralEngine, change: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        engine.begin(utterance(**change))  # type: ignore[arg-type]
    assert str(error.value).startswith(words)
    assert len([engine.begin(utterance()) for _ in range(3)]) == 3  # no slot was lost


def test_voices_and_their_languages(engine: VoxtralEngine) -> None:
    assert [(voice.name, voice.languages[0]) for voice in engine.voices] == [
        ("fr_anna", "fr-FR"), ("neutral_bert", "en-US")
    ]  # fmt: skip


def test_steps_of_half_a_frame_leave_no_listener_without_sound() -> None:
    """Every piece but the first waits for one frame more than it holds."""
    ends = [piece_start(n) + piece_length(n) for n in range(30)]
    for before, end in pairwise(ends):
        assert end * 0.5 <= before  # frames after the first, with which the first piece leaves; in frames of time


def test_pieces_follow_each_other() -> None:
    ends = [piece_start(n) + piece_length(n) for n in range(7)]
    assert tuple(ends[:5]) == BOUNDARIES
    assert ends[5:] == [20, 26]
    assert [piece_start(n + 1) for n in range(7)] == ends


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("params.json", "params.json: "), ("consolidated.safetensors", "consolidated.safetensors: No such file"),
        ("voice_embedding/fr_anna.pt", ""), ("voice_embedding", "holds no voice"),
    ],
)  # fmt: skip
def test_folders_that_lack_something(tmp_path: Path, missing: str, words: str) -> None:
    folder = write_model(tmp_path)
    path = folder / missing
    path.rename(tmp_path / "gone")
    if not words:
        assert [
            voice.name for voice in VoxtralEngine(Files(folder, torch.float32, "cpu"), Room(1 << 20, 64)).voices
        ] == ["neutral_bert"]
        return
    with pytest.raises(EngineError, match=words):
        Files(folder, torch.float32, "cpu")


def test_other_weights_have_another_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    before = Files(folder, torch.float32, "cpu").name
    made = model(seed=2)
    made.encoder = None
    export(made, folder / "consolidated.safetensors", torch.float32)
    assert Files(folder, torch.float32, "cpu").name != before
