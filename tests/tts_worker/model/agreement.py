"""Parts of the model beside the plain mathematics, on the same weights and inputs."""

import numpy as np
import torch

from tests.tts_worker.model import plain
from tests.tts_worker.model.support import NANO, close, codes, published
from tts_worker.model import frames
from tts_worker.model.backbone import Cache
from tts_worker.model.config import SPECIALS
from tts_worker.model.network import Voxtral

GUIDANCE = 1.3


def backbone_agrees(m: Voxtral) -> bool:
    inputs = torch.randn(12, NANO.dim, generator=torch.Generator().manual_seed(3))
    cache = Cache.empty(NANO, 1, 16, torch.float32, torch.device("cpu"))
    states = m.backbone(inputs[None], torch.arange(12)[None], cache)[0]
    return close(states, plain.backbone(published(m), NANO, inputs.double().numpy()))


def heads_agree(m: Voxtral) -> bool:
    generator = torch.Generator().manual_seed(4)
    states = torch.randn(3, NANO.dim, generator=generator)
    many = torch.randn(300, NANO.dim, generator=generator)  # among them such as would choose a code that is none
    noise = torch.randn(3, NANO.audio.n_acoustic_codebook, generator=generator)
    sampled = m.heads.sample(states, noise, torch.tensor([GUIDANCE] * 3))
    t = published(m)
    wanted = [
        plain.sample(t, NANO, s, n, GUIDANCE)
        for s, n in zip(states.double().numpy(), noise.double().numpy(), strict=True)
    ]
    semantic = m.heads.semantic_logits(many).argmax(-1).tolist()
    return close(sampled, np.array(wanted)) and semantic == [plain.semantic(t, NANO, s) for s in many.double().numpy()]


def frames_agree(m: Voxtral) -> bool:
    some = codes(NANO, 1, 4)[0] + SPECIALS
    t = published(m)
    embedded = np.array([plain.frame_embedding(t, NANO, frame) for frame in some.tolist()])
    values = (torch.arange(-24, 24) / 16).reshape(-1, NANO.audio.n_acoustic_codebook)  # ties among them, exact
    levels = NANO.audio.acoustic_codebook_size
    grid = [[code + SPECIALS for code in plain.acoustic(row, levels)] for row in values.double().numpy()]
    made = frames.frame_of(torch.full((len(values),), 7), values, levels)[:, 1:].tolist()
    return close(m.frame_embedding(some), embedded) and made == grid


def decoder_agrees(m: Voxtral) -> bool:
    some = codes(NANO, 1, 9)
    return close(m.decoder.whole(some)[0], plain.decode(published(m), NANO.codec, some[0].numpy()))


def encoder_agrees(m: Voxtral) -> bool:
    assert m.encoder is not None
    generator = torch.Generator().manual_seed(5)
    samples = torch.randn(1, 5 * NANO.codec.frame, generator=generator)
    latent, _ = m.encoder(samples, m.encoder.fresh(1))
    wanted = plain.encode(published(m), NANO.codec, samples[0].double().numpy())
    return m.decoder.quantiser.encode(latent)[0].tolist() == wanted.tolist()


CHECKS = (backbone_agrees, heads_agree, frames_agree, decoder_agrees, encoder_agrees)
