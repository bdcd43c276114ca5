"""A voice from a clip of somebody's speech: encoded to frames, embedded as the frames of the model's own speech are."""

import torch
from torch import Tensor
from torch.nn import functional

from tts_worker.model.config import SPECIALS
from tts_worker.model.frames import end_frame
from tts_worker.model.network import Voxtral


@torch.inference_mode()
def voice_rows(model: Voxtral, samples: Tensor) -> Tensor:
    """Sound [samples], mono at the codec's rate, −1 to 1 → rows [N, D] for `Voxtral.prompt`, N = frames begun + 1.

    Raises ValueError without an encoder: the published files have none.
    """
    if model.encoder is None:
        raise ValueError("this model has no encoder, so it cannot take a voice from a recording")
    codec = model.config.codec
    whole = functional.pad(samples, (0, -len(samples) % codec.frame))[None]
    latent, _ = model.encoder(whole.to(model.text_embedding.weight.dtype), model.encoder.fresh(1))
    codes = model.decoder.quantiser.encode(latent)[0] + SPECIALS
    rows: Tensor = model.frame_embedding(torch.cat((codes, end_frame(codes.shape[1]).to(codes.device)[None])))
    return rows
