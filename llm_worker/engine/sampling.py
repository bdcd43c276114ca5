"""Draws the next ids. Static shapes and no wait for the device, so that it can be part of a captured graph.

The noise is a function of the generation's seed, the token's number in it and the id. So what a generation draws
depends neither on its neighbours in the batch nor on its row, and a generation can be repeated.
"""

import math

import torch
from torch import Tensor

WINDOW = 64
"""Ids of the past that the guard against repetition looks at."""
_LONGEST_SPAN = 16
_COPIES, _LENGTH = 4, 24  # a loop is so many copies at least, and so many ids
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
_BITS = 40  # of a uniform number; far more than float32 keeps near 1, and as many as likely ids need near 0


def sample(
    logits: Tensor,
    temperature: Tensor | None,
    seeds: Tensor,
    counters: Tensor,
    *,
    top_p: Tensor | None = None,
    min_p: Tensor | None = None,
    mask: Tensor | None = None,
    recent: Tensor | None = None,
) -> Tensor:
    """The next id of each row, int64 [N], from logits [N, V] in float32.

    `temperature` [N]: 0, or None for all rows, is the likeliest id, exactly. `seeds`, `counters` [N] int64: the
    generation's seed and how many ids it has drawn. `top_p` [N]: only the likeliest ids that together have this
    probability, and those as likely as the last of them. `min_p` [N]: only ids at least this much as likely as the
    likeliest. `mask` [N, ⌈V/32⌉] int32: a bit per id (grammar.Words). `recent` [N, WINDOW] int64: the last ids of each
    answer, newest last, −1 before the first; an id that would go on a loop is left out, unless nothing else is allowed.
    What is None takes no time.
    """
    if mask is not None:
        logits = logits.masked_fill(~_unpacked(mask, logits.shape[1]), -math.inf)
    if recent is not None:
        logits = _without_loops(logits, recent)
    if temperature is None:
        return logits.argmax(-1)
    scaled = logits / torch.where(temperature > 0, temperature, 1.0)[:, None]
    kept = scaled
    if min_p is not None:
        kept = kept.masked_fill(scaled < scaled.amax(-1, keepdim=True) + torch.log(min_p)[:, None], -math.inf)
    if top_p is not None:
        kept = kept.masked_fill(scaled < _nucleus(scaled, top_p), -math.inf)
    # The first of exponential clocks that run as fast as ids are likely strikes with the ids' probability.
    drawn = (kept - torch.log(_exponential(seeds, counters, logits.shape[1]))).argmax(-1)
    return torch.where(temperature > 0, drawn, logits.argmax(-1))


def _unpacked(mask: Tensor, size: int) -> Tensor:
    """Bits [N, ⌈V/32⌉] int32 → [N, V] bool."""
    bits = torch.arange(32, dtype=torch.int32, device=mask.device)
    return ((mask[:, :, None] >> bits) & 1).flatten(1)[:, :size].bool()


def _nucleus(scaled: Tensor, top_p: Tensor) -> Tensor:
    """The smallest logit [N, 1] among the likeliest ids that together have probability `top_p` [N]."""
    ordered = scaled.sort(-1, descending=True).values
    probability = ordered.softmax(-1)
    before = probability.cumsum(-1) - probability
    count = (before < top_p[:, None]).sum(-1, keepdim=True)
    return ordered.gather(1, (count - 1).clamp(min=0))  # a row without numbers must not hurt its neighbours


def _without_loops(logits: Tensor, recent: Tensor) -> Tensor:
    """Bars the id that would make the end of the answer copies of one span, for spans of 1 to 16 ids."""
    spans = torch.arange(1, _LONGEST_SPAN + 1, device=recent.device)[:, None]
    copies = torch.clamp((_LENGTH + spans - 1) // spans, min=_COPIES)
    length = copies * spans  # with the id to come
    places = torch.arange(WINDOW, device=recent.device)
    back = torch.minimum(places, length - 2 - spans)  # 0: the newest; the last pair again where there are no more
    newer = WINDOW - 1 - back
    same = (recent[:, newer] == recent[:, newer - spans]).all(-1)
    said = recent[:, -1:] >= 0  # else −1 would repeat itself
    following = recent[:, WINDOW - spans[:, 0]].clamp(min=0)
    # The smaller of the logit and this: not scatter, for several spans can mean the same id.
    limit = torch.where(same & said, -math.inf, math.inf)
    barred = logits.scatter_reduce(1, following, limit, "amin")
    return torch.where(barred.amax(-1, keepdim=True) > -math.inf, barred, logits)


def _exponential(seeds: Tensor, counters: Tensor, size: int) -> Tensor:
    """Exponentially distributed numbers [N, size], float32. Small ones, which win, are precise."""
    places = torch.arange(size, device=seeds.device)
    stream = _mixed(_mixed(seeds * _GOLDEN + 1) + counters * _GOLDEN)[:, None]
    whole = _shifted(_mixed(stream + (places + 1) * _GOLDEN), 64 - _BITS)
    uniform = ((whole.float() + 0.5) / (1 << _BITS)).clamp(max=1 - 2**-24)
    return -torch.log1p(-uniform)


def _mixed(x: Tensor) -> Tensor:
    """64 bits → 64 bits, every one of which depends on all (SplitMix64, Steele et al. 2014). Products wrap around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, filled with zeros: the operator keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
