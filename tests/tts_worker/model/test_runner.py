"""Streams in slots: alone = in a batch = resumed, whoever joins and leaves."""

import pytest
import torch
from torch import Tensor

from tests.tts_worker.model.support import NANO, close, model
from tts_worker.model.backbone import Cache
from tts_worker.model.config import SPECIALS
from tts_worker.model.frames import END, frame_of
from tts_worker.model.network import Voxtral
from tts_worker.model.noise import normal
from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Bytes
from tts_worker.runner import Beginning, Runner

VOICES = {"anna": 5, "bert": 5, "carl": 9}
"""Two with equally many rows: a cache that goes by token ids would take one for the other."""
TEXT = "Good morning, this is the practice."


def rows_of(name: str) -> Tensor:
    seed = list(VOICES).index(name)
    return torch.randn(VOICES[name], NANO.dim, generator=torch.Generator().manual_seed(seed))


def runner(m: Voxtral | None = None, slots: int = 4, length: int = 128) -> Runner:
    made = Runner(m or model(), slots, length)
    for name, rows in VOICES.items():
        made.add_voice(name, voice_ids(Bytes(), rows), rows_of(name))
    return made


def start(slot: int, voice: str = "anna", text: str = TEXT, seed: int = 7, **more: object) -> Beginning:
    return Beginning(slot, voice, text_ids(Bytes(), text), seed, **more)  # type: ignore[arg-type]


def speak(one: Runner, begin: Beginning, count: int = 12) -> Tensor:
    """[count, books]"""
    one.begin(begin)
    return torch.stack([one.step([begin.slot])[0][0] for _ in range(count)])


@torch.inference_mode()
def by_the_book(m: Voxtral, voice: str, text: str, seed: int, guidance: float, count: int) -> Tensor:
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
    return torch.stack(made)


def test_a_stream_says_what_the_model_says() -> None:
    m = model()
    for voice, seed, guidance in (("anna", 7, 1.2), ("carl", 8, 1.0)):
        made = speak(runner(m), start(1, voice, seed=seed, guidance=guidance))
        assert torch.equal(made, by_the_book(m, voice, TEXT, seed, guidance, 12))


def test_in_a_batch_as_alone_while_others_join_and_leave() -> None:
    m = model()
    plans = [start(0, "anna", seed=1), start(1, "bert", "Yes.", seed=2), start(2, "carl", "No, thank you.", seed=3)]
    alone = [speak(runner(m), plan, 10) for plan in plans]
    late = start(1, "anna", "Later.", seed=4)
    late_alone = speak(runner(m), late, 5)
    together = runner(m)
    heard: dict[str, list[Tensor]] = {"0": [], "1": [], "2": [], "late": []}
    for plan in plans[:2]:
        together.begin(plan)
    for step in range(10):
        names = {0: "0", 1: "1" if step < 5 else "late", 2: "2"}
        if step == 2:
            together.begin(plans[2])
        if step == 5:
            together.begin(late)  # takes the slot of the one that has left
        active = [slot for slot in (2, 0, 1) if slot != 2 or step >= 2]
        for slot, frame in zip(active, together.step(active)[0], strict=True):
            heard[names[slot]].append(frame)
    assert torch.equal(torch.stack(heard["0"]), alone[0])
    assert torch.equal(torch.stack(heard["1"]), alone[1][:5])
    assert torch.equal(torch.stack(heard["2"]), alone[2][:8])
    assert torch.equal(torch.stack(heard["late"]), late_alone)


def test_a_stream_that_waits_stays_where_it_is() -> None:
    m = model()
    alone = speak(runner(m), start(0), 6)
    one = runner(m)
    one.begin(start(0))
    one.begin(start(1, "bert"))
    made = []
    for active in ([0, 1], [1], [1], [0, 1], [0], [1], [0], [0, 1], [0]):
        frames = dict(zip(active, one.step(active)[0], strict=True))
        made += [frames[0]] if 0 in frames else []
    assert torch.equal(torch.stack(made), alone)


def test_the_same_seed_gives_the_same_frames_and_another_one_others() -> None:
    one = runner()
    first, again, other = (speak(one, start(0, seed=seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_voices_of_equal_length_are_two_voices() -> None:
    one = runner()
    assert not torch.equal(speak(one, start(0, "anna")), speak(one, start(0, "bert")))


@pytest.mark.parametrize("heard", [1, 5, 11])
def test_another_runner_goes_on(heard: int) -> None:
    m = model()
    whole = speak(runner(m), start(0))
    second = runner(m)
    rest = speak(second, start(3, frames=whole[:heard]), 12 - heard)
    assert torch.equal(rest, whole[heard:])


def test_the_sound_of_a_resumed_stream_goes_on_without_a_seam() -> None:
    m = model()
    first = runner(m)
    whole = speak(first, start(0))
    assert not (whole[:, 0] == END).any()
    sound = m.decoder.whole(whole[None] - SPECIALS)[0].detach()
    frame = NANO.codec.frame
    parts = [first.decode([0], part[None])[0] for part in whole.split([1, 2, 3, 6])]
    assert close(torch.cat(parts), sound.clamp(-1, 1))
    second = runner(m)
    second.begin(start(2, frames=whole[:7]))
    second.decode([2], whole[None, :7])
    assert close(second.decode([2], whole[None, 7:])[0], sound[7 * frame :].clamp(-1, 1))


def test_sound_of_several_streams_at_different_places() -> None:
    m = model()
    one = runner(m)
    spoken = {slot: speak(one, start(slot, voice), 6) for slot, voice in ((0, "anna"), (2, "carl"))}
    one.decode([2], spoken[2][None, :4])
    both = one.decode([0, 2], torch.stack((spoken[0][:2], spoken[2][4:])))
    for row, (slot, first) in enumerate(((0, 0), (2, 4))):
        whole = m.decoder.whole(spoken[slot][None] - SPECIALS)[0].detach().clamp(-1, 1)
        assert close(both[row], whole[first * NANO.codec.frame : (first + 2) * NANO.codec.frame])


def test_there_is_always_a_first_frame() -> None:
    m = model()
    with torch.no_grad():
        m.heads.semantic.weight.zero_()
        m.heads.semantic.weight[2] = -1e-3  # END wins wherever it may
    made = speak(runner(m), start(0), 2)
    assert made[0, 0] != END
    assert made[1].tolist() == [END, *[SPECIALS] * NANO.audio.n_acoustic_codebook]


def test_what_does_not_fit_is_refused() -> None:
    one = runner(length=40)
    assert one.positions("anna", text_ids(Bytes(), "a" * 30), 0) == 8 + 32
    one.begin(start(0, text="a" * 30))
    with pytest.raises(ValueError, match="takes 41 positions of 40"):
        one.begin(start(0, text="a" * 31))


def test_numbers_that_are_not_finite_stay_in_their_stream() -> None:
    m = model()
    alone = speak(runner(m), start(0), 8)
    one = runner(m)
    one.begin(start(0))
    one.begin(start(1, "bert"))
    made = []
    for step in range(8):
        if step == 3:
            one._state[1] = torch.nan
        frames, finite = one.step([0, 1])
        assert finite.tolist() == [True, step != 3]
        made.append(frames[0])
    assert torch.equal(torch.stack(made), alone)
    again = speak(one, start(1, "bert", seed=9), 4)  # and the slot can be used again
    assert torch.equal(again, speak(runner(m), start(1, "bert", seed=9), 4))
