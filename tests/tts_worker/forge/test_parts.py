"""What training is made of: quantisation, distances, discriminators, crops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tts_worker.forge.support import job, make_tones
from tests.tts_worker.model.support import NANO
from tts_worker.engine import SAMPLE_RATE
from tts_worker.forge.adversary import Adversary
from tts_worker.forge.batches import Crops
from tts_worker.forge.corpus import corpus_folder
from tts_worker.forge.ears import expanded
from tts_worker.forge.job import CodecJob
from tts_worker.forge.losses import Spectra, mel_bands
from tts_worker.forge.quantise import Treatment, follow, forget, quantise
from tts_worker.forge.store import read_corpus
from tts_worker.forge.teacher import phones
from tts_worker.model.quantiser import Quantiser
from tts_worker.sound import _MULAW

LEVELS = NANO.codec.acoustic_codebook_size


def quantiser() -> Quantiser:
    made = Quantiser(NANO.codec)
    generator = torch.Generator().manual_seed(3)
    made.embedding_sum.copy_(torch.randn(made.embedding_sum.shape, generator=generator))
    return made


def latent(streams: int = 3, frames: int = 5) -> Tensor:
    return torch.randn(streams, frames, NANO.codec.latent, generator=torch.Generator().manual_seed(4))


def silence(streams: int = 3, frames: int = 5) -> Tensor:
    return torch.zeros(streams, frames, NANO.codec.acoustic_dim)


def test_quantised_values_are_what_the_codes_stand_for_and_gradients_pass() -> None:
    book, x = quantiser(), latent().requires_grad_()
    made = quantise(book, x, Treatment.full(3), silence())
    assert torch.allclose(made.latent, book.decode(book.encode(x), book.table()), atol=1e-6)
    made.latent.sum().backward()
    assert x.grad is not None
    wide = book.semantic_dim
    assert torch.equal(x.grad[..., :wide], torch.ones_like(x[..., :wide]))
    assert torch.allclose(x.grad[..., wide:], 1 - x.detach()[..., wide:].tanh().square(), atol=1e-6)


def test_each_sample_is_treated_as_drawn() -> None:
    tabled, gridded = torch.tensor([True, False, False]), torch.tensor([False, True, False])
    disturbed = torch.tensor([False, False, True])
    book, x = quantiser(), latent()
    made = quantise(book, x, Treatment(tabled, gridded, disturbed), silence() + 1).latent
    full = quantise(book, x, Treatment.full(3), silence()).latent
    wide = book.semantic_dim
    assert torch.equal(made[0, :, :wide], full[0, :, :wide])
    assert torch.equal(made[1, :, :wide], x[1, :, :wide])
    assert torch.equal(made[0, :, wide:], x[0, :, wide:].tanh())
    assert torch.equal(made[1, :, wide:], full[1, :, wide:])
    assert torch.equal(made[2, :, wide:], x[2, :, wide:].tanh() + 1 / LEVELS)


def test_only_values_where_tanh_is_flat_are_called_back() -> None:
    x = latent()
    x[..., NANO.codec.semantic_dim :] = 1.4
    assert quantise(quantiser(), x, Treatment.full(3), silence()).excess.item() == 0
    x[0, 0, -1] = -3.5
    expected = 2.0**2 / silence().numel()
    assert quantise(quantiser(), x, Treatment.full(3), silence()).excess.item() == pytest.approx(expected)


def test_treatments_come_as_often_as_they_should() -> None:
    many = Treatment.drawn(np.random.default_rng(0), 4000)
    assert float(many.tabled.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(many.gridded.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(many.disturbed.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert not bool((many.gridded & many.disturbed).any())


def test_the_table_finds_clusters_and_gives_up_entries_that_nobody_uses() -> None:
    book = quantiser()
    forget(book)
    generator, random = torch.Generator().manual_seed(5), np.random.default_rng(5)
    centres = 4 * torch.randn(10, book.semantic_dim, generator=generator)
    for _ in range(300):
        which = torch.randint(10, (64,), generator=generator)
        vectors = centres[which] + 0.05 * torch.randn(64, book.semantic_dim, generator=generator)
        nearest = torch.cdist(vectors, book.table()).argmin(-1)
        follow(book, vectors, nearest, 0.95, 0.1, random)
    assert float(torch.cdist(centres, book.table()).min(1).values.max()) < 0.2
    book.embedding_sum[3] = 1000 * book.cluster_usage[3]  # where no vector is
    for _ in range(120):
        nearest = torch.cdist(vectors, book.table()).argmin(-1)
        follow(book, vectors, nearest, 0.95, 0.1, random)
    assert float(book.table()[3].abs().max()) < 100


def test_distances_of_the_same_are_nothing_and_of_silence_have_slopes() -> None:
    spectra = Spectra(SAMPLE_RATE)
    true = 0.1 * torch.randn(2, 4800, generator=torch.Generator().manual_seed(6))
    same = spectra(true, true)
    assert float(same.wave) == float(same.spectrum) == float(same.mel) == 0
    made = torch.zeros_like(true, requires_grad=True)
    distance = spectra(made, true)
    assert distance.wave.item() == pytest.approx(1)
    assert distance.spectrum.item() == pytest.approx(1, abs=0.02)
    (distance.spectrum + distance.mel).backward()
    assert made.grad is not None
    assert bool(made.grad.isfinite().all())


def test_a_tone_falls_into_the_band_around_it() -> None:
    bands = mel_bands(80, 1024, SAMPLE_RATE)
    assert torch.allclose(bands.sum(1), torch.ones(80), atol=1e-5)
    bins = torch.zeros(513)
    bins[round(1000 / SAMPLE_RATE * 1024)] = 1
    centre = 2595 * np.log10(1 + 1000 / 700) / (2595 * np.log10(1 + 12000 / 700)) * 81 - 1
    assert abs(int((bands @ bins).argmax()) - centre) <= 1


def test_discriminators_learn_to_tell_noise_from_tones() -> None:
    torch.manual_seed(0)
    judges = Adversary(CodecJob(adversary_windows=(256,), adversary_channels=4, adversary_rate=3e-3))
    tones = torch.sin(torch.arange(4800) * 0.2).repeat(2, 1)
    noise = torch.randn(2, 4800, generator=torch.Generator().manual_seed(7))
    losses = [judges.learn(noise, tones) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]
    made = noise.clone().requires_grad_()
    opinion = judges.opinion(made, tones)
    opinion.features.backward()
    assert made.grad is not None
    same = judges.opinion(tones, tones)
    assert same.features.item() == 0 < opinion.features.item()
    assert same.fooled.item() < opinion.fooled.item()


def test_a_crop_follows_from_its_step_and_its_sounds_from_its_samples(tmp_path: Path) -> None:
    """Each sound of the made-up corpus is a tone of its own, so the tone heard tells which sound it must be."""
    of = job(tmp_path)
    make_tones(of)
    crops = [Crops(read_corpus(corpus_folder(of)), phones(), 1, 1920, 2) for _ in range(2)]
    one, other = (c.batch(5, 8, 6) for c in crops)
    assert torch.equal(one.samples, other.samples)
    assert not torch.equal(one.samples, crops[0].batch(6, 8, 6).samples)
    parts = one.samples.unflatten(1, (-1, 960))
    checked = 0
    for part, sound in zip(parts.flatten(0, 1), one.sounds.flatten(), strict=True):
        middle = part[240:720]
        inside = bool((middle.abs().unflatten(0, (-1, 60)).amax(1) > 0.01).all())
        spectrum = torch.fft.rfft(middle * torch.hann_window(480)).abs()
        if inside and float(spectrum.amax()) > 0.9 * float(spectrum.unfold(0, 3, 1).sum(-1).amax()) / 2:
            assert abs(int(spectrum.argmax()) * 50 - 200 * (int(sound) - 1)) <= 50
            checked += 1
        elif not bool(part.any()):
            assert int(sound) == 0
    assert checked > 10


def test_expanding_is_the_inverse_of_the_companding_that_the_worker_does() -> None:
    codes = np.arange(256, dtype=np.uint8)
    values = np.round(expanded(codes) * 32768).astype(np.int32)
    again = _MULAW[values + 32768]
    assert set(codes[again != codes]) <= {0x7F}  # minus zero
