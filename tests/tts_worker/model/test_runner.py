"""Streams in slots: alone = in a batch = resumed, whoever joins and leaves, in whatever shapes the steps are run."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tts_worker.model.support import NANO, close, model
from tts_worker.model.backbone import Cache
from tts_worker.model.config import END, SPECIALS
from tts_worker.model.frames import frame_of
from tts_worker.model.network import Voxtral
from tts_worker.model.noise import normal
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Bytes
from tts_worker.pieces import Frames
from tts_worker.recorder import compile_layers
from tts_worker.runner import Beginning, Runner, sound_of
from tts_worker.tuning import Shape, Tuning, tuned

VOICES = {"anna": 5, "bert": 5, "carl": 9}
"""Two with equally many rows: a cache that goes by token ids would take one for the other."""
TEXT = "Good morning, this is the practice."


def rows_of(name: str) -> Tensor:
    seed = list(VOICES).index(name)
    return torch.randn(VOICES[name], NANO.dim, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Start:
    """A stream, by the name of its voice."""

    slot: int
    voice: str = "anna"
    text: str = TEXT
    seed: int = 7
    guidance: float = 1.2
    frames: Frames | None = None


class Voices(Runner):
    """A runner that has computed the voices."""

    def __init__(
        self, m: Voxtral | None = None, slots: int = 4, length: int = 128, tuning: Tuning | None = None
    ) -> None:
        super().__init__(m or model(), slots, length, tuning)
        self.prefixes = {name: self.voice(voice_ids(Bytes(), rows), rows_of(name)) for name, rows in VOICES.items()}

    def enter(self, *starts: Start) -> None:
        self.begin([self.beginning(start) for start in starts])

    def beginning(self, one: Start) -> Beginning:
        ids = text_ids(Bytes(), one.text)
        return Beginning(one.slot, self.prefixes[one.voice], ids, one.seed, one.guidance, one.frames)


def speak(one: Voices, begin: Start, count: int = 12) -> Frames:
    """[count, books]"""
    one.enter(begin)
    return np.concatenate([one.step([begin.slot]).take()[0] for _ in range(count)])


@torch.inference_mode()
def by_the_book(m: Voxtral, voice: str, text: str, seed: int, guidance: float, count: int) -> Frames:
    """Without slots, prefix or cache: everything from the start for every frame."""
    ids = torch.tensor(voice_ids(Bytes(), VOICES[voice]) + text_ids(Bytes(), text))
    inputs = m.prompt(ids, rows_of(voice))
    made: list[Tensor] = []
    for number in range(count):
        sequence = torch.cat((inputs, m.frame_embedding(torch.stack(made)))) if made else inputs
        cache = Cache.empty(NANO, 1, len(sequence), torch.float32, torch.device("cpu"))
        state = m.backbone(sequence[None], torch.arange(len(sequence))[None], cache)[:, -1]
        logits = m.heads.semantic_logits(state)
        if number == 0:
            logits[:, END] = -torch.inf
        noise = normal(torch.tensor([seed]), torch.tensor([number]), m.heads.books)
        values = m.heads.sample(state, noise, torch.tensor([guidance]))
        made.append(frame_of(logits.argmax(-1), values, NANO.audio.acoustic_codebook_size)[0])
    return torch.stack(made).numpy().astype(np.uint16)


@pytest.fixture(params=["as it is", "in buckets"])
def tuning(request: pytest.FixtureRequest) -> Tuning | None:
    """As on a processor, and with what a GPU does to shapes."""
    return None if request.param == "as it is" else Tuning((1, 3, 4), reach=48, prompts=1)


def test_a_stream_says_what_the_model_says(tuning: Tuning | None) -> None:
    m = model()
    for voice, seed, guidance in (("anna", 7, 1.2), ("carl", 8, 1.0)):
        made = speak(Voices(m, tuning=tuning), Start(1, voice, seed=seed, guidance=guidance))
        np.testing.assert_array_equal(made, by_the_book(m, voice, TEXT, seed, guidance, 12))


def test_in_a_batch_as_alone_while_others_join_and_leave(tuning: Tuning | None) -> None:
    m = model()
    plans = [Start(0, "anna", seed=1), Start(1, "bert", "Yes.", seed=2, guidance=1.0), Start(2, "carl", "No.", seed=3)]
    alone = [speak(Voices(m), plan, 10) for plan in plans]
    late = Start(1, "anna", "Later.", seed=4)
    late_alone = speak(Voices(m), late, 5)
    together = Voices(m, tuning=tuning)
    heard: dict[str, list[Frames]] = {"0": [], "1": [], "2": [], "late": []}
    together.enter(*plans[:2])
    for step in range(10):
        names = {0: "0", 1: "1" if step < 5 else "late", 2: "2"}
        if step == 2:
            together.enter(plans[2])
        if step == 5:
            together.enter(late)  # takes the slot of the one that has left
        active = [slot for slot in (2, 0, 1) if slot != 2 or step >= 2]
        for slot, frame in zip(active, together.step(active).take()[0], strict=True):
            heard[names[slot]].append(frame)
    for name, wanted in (("0", alone[0]), ("1", alone[1][:5]), ("2", alone[2][:8]), ("late", late_alone)):
        np.testing.assert_array_equal(np.stack(heard[name]), wanted)


def test_a_stream_that_waits_stays_where_it_is() -> None:
    m = model()
    alone = speak(Voices(m), Start(0), 6)
    one = Voices(m)
    one.enter(Start(0), Start(1, "bert"))
    made = []
    for active in ([0, 1], [1], [1], [0, 1], [0], [1], [0], [0, 1], [0]):
        frames = dict(zip(active, one.step(active).take()[0], strict=True))
        made += [frames[0]] if 0 in frames else []
    np.testing.assert_array_equal(np.stack(made), alone)


def test_one_that_waits_far_ahead_of_others(tuning: Tuning | None) -> None:
    """Steps attend as far as those who speak need; and leave alone what a stream that waits has beyond."""
    m = model()
    alone = speak(Voices(m), Start(0, text="a" * 60), 4)
    one = Voices(m, tuning=tuning)
    one.enter(Start(0, text="a" * 60), Start(1, text="b"))
    made = [one.step([0]).take()[0]]
    for _ in range(3):
        one.step([1])
        made.append(one.step([0]).take()[0])
    np.testing.assert_array_equal(np.concatenate(made), alone)
    one.leave(0)
    wanted = speak(Voices(m), Start(1, text="b"), 4)
    np.testing.assert_array_equal(speak(one, Start(1, text="b"), 4), wanted)
    np.testing.assert_array_equal(speak(one, Start(0, text="a" * 60), 4), alone)


def test_prompts_that_are_read_together_as_alone() -> None:
    """Of several lengths and voices, one of them far on: to the accuracy of other sizes of products."""
    m = model()
    one = Voices(m, tuning=Tuning(prompts=4))
    frames = speak(Voices(m), Start(0), 20)
    starts = [Start(3, "carl"), Start(0, "anna", "Yes."), Start(2, "bert", "No, thank you.", frames=frames)]
    one.enter(*starts)
    for start in starts:
        alone = Voices(m)
        alone.enter(start)
        mine, other = one._streams, alone._streams
        assert close(mine.state[start.slot], other.state[start.slot])
        assert int(mine.position[start.slot]) == int(other.position[start.slot]) == one.beginning(start).positions
        reach = one.beginning(start).positions
        places = (slice(None), slice(None), start.slot, slice(None), slice(reach))
        assert close(mine.cache.both[places], other.cache.both[places])
    assert len(one.step([0, 2, 3]).take()[0]) == 3


def test_padding_that_would_leave_the_slot() -> None:
    """A long voice with a short text beside a short voice with a long one."""
    m = model()
    one = Voices(m, length=64, tuning=Tuning(prompts=2))
    full, other = Start(0, "anna", "a" * 53), Start(1, "carl", "b")
    one.enter(full, other)
    for start in (full, other):
        alone = Voices(m, length=64)
        alone.enter(start)
        assert close(one._streams.state[start.slot], alone._streams.state[start.slot])


def test_steps_that_are_started_ahead(tuning: Tuning | None) -> None:
    one = Voices(model(), tuning=tuning)
    wanted = speak(one, Start(0), 6)
    one.enter(Start(0))
    started = [one.step([0]) for _ in range(6)]
    np.testing.assert_array_equal(np.concatenate([made.take()[0] for made in started]), wanted)


def test_the_same_seed_gives_the_same_frames_and_another_one_others() -> None:
    one = Voices()
    first, again, other = (speak(one, Start(0, seed=seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_voices_of_equal_length_are_two_voices() -> None:
    one = Voices()
    assert (speak(one, Start(0, "anna")) != speak(one, Start(0, "bert"))).any()


@pytest.mark.parametrize("heard", [1, 5, 11])
def test_another_runner_goes_on(heard: int) -> None:
    m = model()
    whole = speak(Voices(m), Start(0))
    rest = speak(Voices(m), Start(3, frames=whole[:heard]), 12 - heard)
    np.testing.assert_array_equal(rest, whole[heard:])


def shifted(frames: Frames) -> Tensor:
    """[1, n, books] As the codec counts codes."""
    return torch.from_numpy(frames.astype(np.int64))[None] - SPECIALS


def test_the_sound_of_a_resumed_stream_goes_on_without_a_seam() -> None:
    m = model()
    first = Voices(m)
    whole = speak(first, Start(0))
    assert not (whole[:, 0] == END).any()
    sound = m.decoder.whole(shifted(whole))[0].detach().clamp(-1, 1)
    frame = NANO.codec.frame
    parts = [sound_of(first.decode([0], part[None]))[0] for part in np.split(whole, (1, 3, 6))]
    assert close(torch.from_numpy(np.concatenate(parts)), sound)
    second = Voices(m)
    second.enter(Start(2, frames=whole[:7]))
    second.decode([2], whole[None, :7])
    assert close(torch.from_numpy(sound_of(second.decode([2], whole[None, 7:]))[0]), sound[7 * frame :])


def test_sound_of_several_streams_at_different_places() -> None:
    m = model()
    one = Voices(m)
    spoken = {slot: speak(one, Start(slot, voice), 6) for slot, voice in ((0, "anna"), (2, "carl"))}
    one.decode([2], spoken[2][None, :4])
    both = sound_of(one.decode([0, 2], np.stack((spoken[0][:2], spoken[2][4:]))))
    for row, (slot, first) in enumerate(((0, 0), (2, 4))):
        whole = m.decoder.whole(shifted(spoken[slot]))[0].detach().clamp(-1, 1)
        assert close(torch.from_numpy(both[row]), whole[first * NANO.codec.frame : (first + 2) * NANO.codec.frame])


def test_there_is_always_a_first_frame() -> None:
    m = model()
    with torch.no_grad():
        m.heads.semantic.weight.zero_()
        m.heads.semantic.weight[2] = -1e-3  # END wins wherever it may
    made = speak(Voices(m), Start(0), 2)
    assert made[0, 0] != END
    assert made[1].tolist() == [END, *[SPECIALS] * NANO.audio.n_acoustic_codebook]


def test_what_does_not_fit_is_refused() -> None:
    one = Voices(length=40)
    assert one.beginning(Start(0, text="a" * 29)).positions == 8 + 31
    one.enter(Start(0, text="a" * 29))
    with pytest.raises(ValueError, match="takes 40 of 40 positions"):
        one.enter(Start(0, text="a" * 30))


def test_numbers_that_are_not_finite_stay_in_their_stream() -> None:
    m = model()
    alone = speak(Voices(m), Start(0), 8)
    one = Voices(m)
    one.enter(Start(0), Start(1, "bert"))
    made = []
    for step in range(8):
        if step == 3:
            one._streams.state[1] = torch.nan
        frames, finite = one.step([0, 1]).take()
        assert finite == [True, step != 3]
        made.append(frames[0])
    np.testing.assert_array_equal(np.stack(made), alone)
    again = speak(one, Start(1, "bert", seed=9), 4)  # and the slot can be used again
    np.testing.assert_array_equal(again, speak(Voices(m), Start(1, "bert", seed=9), 4))


@pytest.mark.filterwarnings("ignore")  # torch.compile's own
def test_compiled_layers_say_the_same() -> None:
    """Traced, without the minutes that a compiler takes."""
    m = model()
    wanted = speak(Voices(m), Start(0), 4)
    compile_layers(m, backend="eager")
    np.testing.assert_array_equal(speak(Voices(m), Start(0), 4), wanted)


def test_shapes_of_steps() -> None:
    gpu = tuned("cuda", 500)
    assert gpu.rows[:8] == (1, 2, 4, 8, 16, 20, 24, 28)
    assert gpu.rows[-3:] == (384, 448, 500)
    assert [gpu.shape(rows, 1, 1000, True).rows for rows in (1, 3, 33, 257, 500)] == [1, 4, 40, 320, 500]
    assert [gpu.shape(1, reach, 1000, True).reach for reach in (1, 256, 257, 900, 1000)] == [256, 256, 512, 1000, 1000]
    recorded = gpu.shapes(1000)
    assert recorded == sorted(recorded, reverse=True)
    asked = {gpu.shape(rows, reach, 1000, reach % 2 == 0) for rows in range(1, 501) for reach in range(1, 1001, 51)}
    assert asked == set(recorded)
    cpu = tuned("cpu", 500)
    assert cpu.shape(7, 100, 1024, guided=False) == Shape(7, 128, False)
    assert not cpu.shapes(1024)
