"""Two ways to the same numbers: cached = at once, streamed = whole, in a batch = alone."""

import pytest
import torch
from torch import Tensor

from tests.tts_worker.model.support import NANO, close, codes, model
from tts_worker.model.backbone import Cache
from tts_worker.model.config import END, shipped_config
from tts_worker.model.flow import GUIDANCE, Heads
from tts_worker.model.frames import dequantised, frame_of, quantised
from tts_worker.model.noise import normal

CPU = torch.device("cpu")


def cache(rows: int = 1, length: int = 64) -> Cache:
    return Cache.empty(NANO, rows, length, torch.float32, CPU)


def inputs(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, length, NANO.dim, generator=torch.Generator().manual_seed(seed))


def places(rows: int, first: int, end: int) -> Tensor:
    return torch.arange(first, end).expand(rows, -1)


@torch.inference_mode()
def test_cached_steps_give_what_the_whole_gives() -> None:
    m, x = model(), inputs(2, 30)
    whole = m.backbone(x, places(2, 0, 30), cache(2))
    stepped = cache(2)
    parts = [m.backbone(x[:, :11], places(2, 0, 11), stepped)]
    parts += [m.backbone(x[:, t : t + 1], places(2, t, t + 1), stepped) for t in range(11, 30)]
    assert close(torch.cat(parts, 1), whole)


@torch.inference_mode()
def test_streams_in_a_batch_do_not_see_each_other() -> None:
    """Different positions, rows that were used before, and neighbours of which one is broken."""
    m, x = model(), inputs(3, 20)
    alone = [m.backbone(x[row : row + 1], places(1, 0, 20), cache()) for row in range(3)]
    shared = cache(3)
    shared.both[:, 0] = -3.0  # keys and values that another stream left there
    shared.both[:, 1] = 7.0
    starts = [4, 9, 6]
    for row, start in enumerate(starts):
        m.backbone(x[row : row + 1, :start], places(1, 0, start), shared.rows(row, row + 1, 64))
    for step in range(8):
        position = torch.tensor([[start + step] for start in starts])
        token = torch.stack([x[row, start + step] for row, start in enumerate(starts)])[:, None]
        token[1] = torch.nan if step == 7 else token[1]
        states = m.backbone(token, position, shared)
        for row in (0, 2):
            assert close(states[row, 0], alone[row][0, starts[row] + step])


def by_definition(heads: Heads, state: Tensor, noise: Tensor, guidance: Tensor) -> Tensor:
    """Every step with the whole field, twice."""
    values = noise
    for k in range(heads.steps):
        t = torch.full((len(state),), k / heads.steps)
        field = guidance[:, None] * heads.velocity(values, t, state)
        field = field + (1 - guidance[:, None]) * heads.velocity(values, t, torch.zeros_like(state))
        values = values + field / heads.steps
    return values


@pytest.mark.parametrize("folded", [False, True])
@torch.inference_mode()
def test_sampling_equals_its_definition_and_does_not_depend_on_the_batch(folded: bool) -> None:
    m = model()
    if folded:
        m.heads.fold()
    state = inputs(1, 4)[0]
    noise = normal(torch.arange(4), torch.arange(4), m.heads.books)
    guidance = torch.tensor([GUIDANCE, 1.0, 0.5, 2.0])
    together = m.heads.sample(state, noise, guidance)
    assert close(together, by_definition(m.heads, state, noise, guidance))
    for row in range(4):
        one = slice(row, row + 1)
        assert close(m.heads.sample(state[one], noise[one], guidance[one]), together[one])


@torch.inference_mode()
def test_guidance_of_one_is_the_field_of_the_state_alone() -> None:
    m = model()
    state, noise = inputs(1, 2)[0], normal(torch.tensor([1, 2]), torch.tensor([0, 5]), m.heads.books)
    wanted = by_definition(m.heads, state, noise, torch.ones(2))
    assert close(m.heads.sample(state, noise, torch.ones(2)), wanted)
    assert close(m.heads.sample(state, noise, torch.ones(2), guided=False), wanted)


@torch.inference_mode()
def test_a_flow_head_of_one_layer() -> None:
    flow = NANO.flow.model_copy(update={"n_layers": 1})
    audio = NANO.audio.model_copy(update={"acoustic_transformer_args": flow})
    multimodal = NANO.multimodal.model_copy(update={"audio_model_args": audio})
    m = model(config=NANO.model_copy(update={"multimodal": multimodal}))
    state, noise = inputs(1, 2)[0], normal(torch.tensor([1, 2]), torch.tensor([0, 0]), m.heads.books)
    guidance = torch.tensor([1.0, 1.4])
    assert close(m.heads.sample(state, noise, guidance), by_definition(m.heads, state, noise, guidance))


# -- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 5, 21])
def test_every_level_comes_back(levels: int) -> None:
    all_levels = torch.arange(levels)
    assert torch.equal(quantised(dequantised(all_levels, levels), levels), all_levels)


def test_the_end_has_no_sound() -> None:
    made = frame_of(torch.tensor([END, 9]), torch.full((2, 3), 0.9), 5)
    assert made.tolist() == [[END, 2, 2, 2], [9, 6, 6, 6]]


# -- the codec --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [[40], [1] * 40, [1, 2, 3, 6, 28], [39, 1]])
@pytest.mark.parametrize("folded", [False, True])
@torch.inference_mode()
def test_decoding_in_pieces_gives_the_whole(lengths: list[int], folded: bool) -> None:
    m, some = model(), codes(NANO, 2, 40)
    whole = m.decoder.whole(some)
    if folded:
        m.decoder.fold()
    assert whole.shape == (2, 40 * NANO.codec.frame)
    state, parts = m.decoder.fresh(2), []
    for piece in some.split(lengths, dim=1):
        part, state = m.decoder(piece, state)
        parts.append(part)
    assert close(torch.cat(parts, 1), whole)
    assert state.frames.tolist() == [40, 40]


@torch.inference_mode()
def test_streams_of_the_codec_join_and_leave() -> None:
    """Rows at different places of their streams, one of which begins anew where another ended."""
    m, some = model(), codes(NANO, 3, 24)
    whole = m.decoder.whole(some)
    frame = NANO.codec.frame
    state = m.decoder.fresh(2)
    _, state = m.decoder(some[:2, :10], state)
    state.restart(torch.tensor([1]))  # stream 2 takes the row of stream 1
    parts = []
    for n in range(8):
        part, state = m.decoder(torch.stack((some[0, 10 + n], some[2, n]))[:, None], state)
        parts.append(part)
    sound = torch.cat(parts, 1)
    assert close(sound[0], whole[0, 10 * frame : 18 * frame])
    assert close(sound[1], whole[2, : 8 * frame])


@torch.inference_mode()
def test_some_rows_of_a_state_can_go_on_alone() -> None:
    m, some = model(), codes(NANO, 3, 12)
    whole = m.decoder.whole(some)
    state = m.decoder.fresh(3)
    _, state = m.decoder(some[:, :5], state)
    index = torch.tensor([2, 0])
    part, rows = m.decoder(some[index, 5:8], state.rows(index))
    state.put(index, rows)
    assert close(part, whole[index, 5 * NANO.codec.frame : 8 * NANO.codec.frame])
    rest, _ = m.decoder(some[index, 8:], state.rows(index))
    assert close(rest, whole[index, 8 * NANO.codec.frame :])
    assert state.frames.tolist() == [8, 5, 8]


@torch.inference_mode()
def test_the_codec_looks_21_frames_back_and_never_ahead() -> None:
    m = model(config=shipped_config("nano"))
    some = codes(NANO, 1, 60)
    whole, frame = m.decoder.whole(some)[0], NANO.codec.frame
    changed = some.clone()
    changed[0, 30, 0] = (changed[0, 30, 0] + 1) % NANO.codec.semantic_codebook_size
    difference = (m.decoder.whole(changed)[0] - whole).abs()
    assert float(difference[: 30 * frame].max()) == 0
    assert float(difference[30 * frame : 31 * frame].max()) > 0
    reach = receptive_frames()
    assert float(difference[(30 + reach + 1) * frame :].max()) == 0
    with_context = m.decoder.whole(some[:, 40 - reach :])[0, reach * frame :]
    assert close(with_context, whole[40 * frame :])
    assert not close(m.decoder.whole(some[:, 38:])[0, 2 * frame :], whole[40 * frame :])


def receptive_frames() -> int:
    """Frames before its own that a frame's sound depends on, by the windows: 21 for two layers a stage."""
    reach = 0
    steps = NANO.codec.upsampling
    positions = NANO.codec.patch_proj_kernel_size - 1
    for stage in reversed(NANO.codec.decoder_stages):
        positions += stage.layers * stage.window
        reach = max(reach, -(-positions // steps))
        if stage.stride == 2:
            positions = -(-positions // 2) + 1
            steps //= 2
    return positions + NANO.codec.decoder_stages[0].kernel - 1


@torch.inference_mode()
def test_encoding_in_pieces_gives_the_whole() -> None:
    m = model()
    assert m.encoder is not None
    samples = torch.randn(2, 9 * NANO.codec.frame, generator=torch.Generator().manual_seed(1))
    whole, _ = m.encoder(samples, m.encoder.fresh(2))
    state, parts = m.encoder.fresh(2), []
    for piece in samples.split([NANO.codec.frame * n for n in (1, 3, 5)], dim=1):
        part, state = m.encoder(piece, state)
        parts.append(part)
    assert whole.shape == (2, 9, NANO.codec.latent)
    assert close(torch.cat(parts, 1), whole)


# -- noise ------------------------------------------------------------------------------------------------------------


def test_noise_depends_on_seed_and_frame_only() -> None:
    seeds, frames = torch.tensor([5, 6, 5, -1]), torch.tensor([0, 0, 1, 2**40])
    together = normal(seeds, frames, 36)
    for row in range(4):
        assert torch.equal(normal(seeds[row : row + 1], frames[row : row + 1], 36)[0], together[row])
    assert len({tuple(row.tolist()) for row in together}) == 4


def test_noise_is_normal() -> None:
    many = normal(torch.arange(4000), torch.zeros(4000, dtype=torch.int64), 36)
    later = normal(torch.zeros(4000, dtype=torch.int64), torch.arange(4000), 36)
    for drawn in (many, later):
        assert abs(float(drawn.mean())) < 0.01
        assert abs(float(drawn.std()) - 1) < 0.01
        assert abs(float((drawn**4).mean()) - 3) < 0.1
        assert float(torch.corrcoef(drawn.T).triu(1).abs().max()) < 0.08  # places
        assert float(torch.corrcoef(drawn[:40]).triu(1).abs().max()) < 0.75  # seeds or frames next to each other
