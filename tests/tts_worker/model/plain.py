"""The family's mathematics once more, slowly: float64, one position after the other, published tensor names.

Written from the description and not from the code under test; what both compute must agree.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tts_worker.model.codec_config import Codec
from tts_worker.model.config import Config, Transformer

Array = npt.NDArray[np.float64]
Tensors = Mapping[str, Array]


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return x / np.sqrt(np.mean(x * x) + eps) * weight


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max())
    return e / e.sum()


def swiglu(t: Tensors, name: str, x: Array) -> Array:
    gate, up = t[f"{name}.feed_forward.w1.weight"] @ x, t[f"{name}.feed_forward.w3.weight"] @ x
    return t[f"{name}.feed_forward.w2.weight"] @ (silu(gate) * up)


def rotate(x: Array, position: int, theta: float) -> Array:
    """One head's vector: neighbouring pairs turn as complex numbers do."""
    half = len(x) // 2
    angles = np.array([position * theta ** (-2 * d / len(x)) for d in range(half)])
    turned = (x[0::2] + 1j * x[1::2]) * np.exp(1j * angles)
    out = np.empty_like(x)
    out[0::2], out[1::2] = turned.real, turned.imag
    return out


def backbone(t: Tensors, config: Config, inputs: Array) -> Array:
    """[P, D] → [P, D]: the whole sequence at once."""
    x = [row.copy() for row in inputs]
    for n in range(config.n_layers):
        x = layer(t, f"layers.{n}", config, x, causal=True, rotary=True)
    return np.array([rms_norm(row, t["norm.weight"], config.norm_eps) for row in x])


def layer(t: Tensors, name: str, c: Transformer, x: list[Array], causal: bool, rotary: bool) -> list[Array]:
    normed = [rms_norm(row, t[f"{name}.attention_norm.weight"], c.norm_eps) for row in x]
    q, k, v = ([t[f"{name}.attention.w{which}.weight"] @ row for row in normed] for which in "qkv")
    size, group = c.head_dim, c.n_heads // c.n_kv_heads
    out = []
    for i, row in enumerate(x):
        heads = []
        for head in range(c.n_heads):
            mine, theirs = slice(head * size, (head + 1) * size), head // group
            shared = slice(theirs * size, (theirs + 1) * size)
            others = range(i + 1) if causal else range(len(x))
            query = rotate(q[i][mine], i, c.rope_theta) if rotary else q[i][mine]
            keys = [rotate(k[j][shared], j, c.rope_theta) if rotary else k[j][shared] for j in others]
            weights = softmax(np.array([query @ key for key in keys]) / math.sqrt(size))
            heads.append(sum(w * v[j][shared] for w, j in zip(weights, others, strict=True)))
        y = row + t[f"{name}.attention.wo.weight"] @ np.concatenate(heads)
        out.append(y + swiglu(t, name, rms_norm(y, t[f"{name}.ffn_norm.weight"], c.norm_eps)))
    return out


def frame_embedding(t: Tensors, config: Config, frame: list[int]) -> Array:
    """Shifted codes of one frame."""
    audio = config.audio
    table = t["mm_audio_embeddings.audio_codebook_embeddings.embeddings.weight"]
    total = table[frame[0]].copy()
    for book, code in enumerate(frame[1:]):
        total += table[audio.semantic_codebook_size + 2 + book * (audio.acoustic_codebook_size + 2) + code]
    return total


def semantic(t: Tensors, config: Config, state: Array) -> int:
    """The semantic code of a state, shifted."""
    logits = t["acoustic_transformer.semantic_codebook_output.weight"] @ state
    allowed = range(1, config.audio.semantic_codebook_size + 2)
    return max(allowed, key=lambda code: logits[code])


def velocity(t: Tensors, config: Config, values: Array, time: float, state: Array) -> Array:
    name, dim = "acoustic_transformer", config.flow.dim
    frequencies = [math.exp(-math.log(10_000) * j / (dim // 2)) for j in range(dim // 2)]
    embedded = np.array([math.cos(time * f) for f in frequencies] + [math.sin(time * f) for f in frequencies])
    x = [
        t[f"{name}.input_projection.weight"] @ values,
        t[f"{name}.time_projection.weight"] @ embedded,
        t[f"{name}.llm_projection.weight"] @ state,
    ]
    for n in range(config.flow.n_layers):
        x = layer(t, f"{name}.layers.{n}", config.flow, x, causal=False, rotary=False)
    normed = rms_norm(x[0], t[f"{name}.norm.weight"], config.flow.norm_eps)
    return t[f"{name}.acoustic_codebook_output.weight"] @ normed


def sample(t: Tensors, config: Config, state: Array, noise: Array, guidance: float) -> Array:
    steps, values = config.flow.n_decoding_steps, noise
    for k in range(steps):
        with_state = velocity(t, config, values, k / steps, state)
        without = velocity(t, config, values, k / steps, np.zeros_like(state))
        values = values + (guidance * with_state + (1 - guidance) * without) / steps
    return values


def acoustic(values: Array, levels: int) -> list[int]:
    """Codes without shift; Python rounds ties to even, too."""
    return [round((min(1.0, max(-1.0, v)) + 1) / 2 * (levels - 1)) for v in values]


# -- the codec --------------------------------------------------------------------------------------------------------


def kernel(t: Tensors, name: str) -> Array:
    gain, direction = (t[f"{name}.conv.parametrizations.weight.original{n}"] for n in (0, 1))
    return np.array([g * d / np.linalg.norm(d) for g, d in zip(gain, direction, strict=True)])


def convolve(x: Array, w: Array, stride: int, padding: str) -> Array:
    """x [T, inputs], w [outputs, inputs, k] → [T / stride, outputs]."""
    size = w.shape[2]
    left = size - stride
    if padding == "replicate":
        before = [x[0]] * left
    else:
        extended = list(x) + [np.zeros_like(x[0])] * max(0, left + 1 - len(x))
        before = [extended[n] for n in range(left, 0, -1)]
    padded = np.array([*before, *x])
    places = range(0, len(padded) - size + 1, stride)
    return np.array([np.einsum("ki,oik->o", padded[p : p + size], w) for p in places])


def convolve_up(x: Array, w: Array, stride: int) -> Array:
    """x [T, inputs], w [inputs, outputs, k] → [T · stride, outputs]: what each input adds, and the end cut off."""
    size = w.shape[2]
    full = np.zeros(((len(x) - 1) * stride + size, w.shape[1]))
    for i, row in enumerate(x):
        for k in range(size):
            full[i * stride + k] += row @ w[:, :, k]
    return full[: len(x) * stride]


def slopes(heads: int) -> list[float]:
    power = 2 ** int(math.log2(heads))
    first = [2 ** (-8 * h / power) for h in range(power)]
    more = [2 ** (-8 * h / (2 * power)) for h in range(2 * power)][::2]
    return (first + more)[:heads]


def codec_layer(t: Tensors, name: str, c: Codec, x: Array, window: int) -> Array:
    eps, size = c.norm_eps, c.head_dim
    normed = [rms_norm(row, t[f"{name}.attention_norm.weight"], eps) for row in x]
    q, k, v = ([t[f"{name}.attention.w{which}.weight"] @ row for row in normed] for which in "qkv")
    q = [rms_norm(row, t[f"{name}.attention.q_norm.weight"], c.qk_norm_eps) for row in q]
    k = [rms_norm(row, t[f"{name}.attention.k_norm.weight"], c.qk_norm_eps) for row in k]
    out = []
    for i, row in enumerate(x):
        others = range(max(0, i - window), i + 1)
        heads = []
        for head, slope in enumerate(slopes(c.n_heads)):
            part = slice(head * size, (head + 1) * size)
            scores = [q[i][part] @ k[j][part] / math.sqrt(size) + slope * (j - i) for j in others]
            weights = softmax(np.array(scores))
            heads.append(sum(w * v[j][part] for w, j in zip(weights, others, strict=True)))
        y = row + t[f"{name}.attention_scale"] * (t[f"{name}.attention.wo.weight"] @ np.concatenate(heads))
        fed = swiglu(t, name, rms_norm(y, t[f"{name}.ffn_norm.weight"], eps))
        out.append(y + t[f"{name}.ffn_scale"] * fed)
    return np.array(out)


def semantic_table(t: Tensors) -> Array:
    book = "audio_tokenizer.quantizer.semantic_codebook"
    return t[f"{book}.embedding_sum"] / np.maximum(t[f"{book}.cluster_usage"], 1e-5)[:, None]


def decode(t: Tensors, c: Codec, codes: npt.NDArray[np.int64]) -> Array:
    """Codes [T, books] without shift → samples."""
    acoustic_values = 2 * codes[:, 1:] / (c.acoustic_codebook_size - 1) - 1
    x = np.concatenate((semantic_table(t)[codes[:, 0]], acoustic_values), axis=1)
    base, window = "audio_tokenizer.decoder_blocks", c.attn_sliding_window_size
    strides, lengths = _numbers(c.decoder_convs_strides_str), _numbers(c.decoder_transformer_lengths_str)
    window //= math.prod(strides)
    for n, (stride, layers) in enumerate(zip(strides, lengths, strict=True)):
        w = kernel(t, f"{base}.{2 * n}")
        x = convolve(x, w, 1, "replicate") if stride == 1 else convolve_up(x, w, stride)
        window *= stride
        for index in range(layers):
            x = codec_layer(t, f"{base}.{2 * n + 1}.layers.{index}", c, x, window)
    patches = convolve(x, kernel(t, "audio_tokenizer.output_proj"), 1, "reflect")
    return patches.reshape(-1)


def encode(t: Tensors, c: Codec, samples: Array) -> npt.NDArray[np.int64]:
    """Samples, whole frames → codes [T, books] without shift."""
    x = convolve(samples.reshape(-1, c.pretransform_patch_size), kernel(t, "audio_tokenizer.input_proj"), 1, "reflect")
    base, window = "audio_tokenizer.encoder_blocks", c.attn_sliding_window_size
    strides, lengths = _numbers(c.encoder_convs_strides_str), _numbers(c.encoder_transformer_lengths_str)
    for n, (stride, layers) in enumerate(zip(strides, lengths, strict=True)):
        for index in range(layers):
            x = codec_layer(t, f"{base}.{2 * n}.layers.{index}", c, x, window)
        x = convolve(x, kernel(t, f"{base}.{2 * n + 1}"), stride, "replicate")
        window //= stride
    table = semantic_table(t)
    nearest = [int(np.argmin(np.linalg.norm(table - row[: c.semantic_dim], axis=1))) for row in x]
    grid = [acoustic(np.tanh(row[c.semantic_dim :]), c.acoustic_codebook_size) for row in x]
    return np.array([[n, *g] for n, g in zip(nearest, grid, strict=True)])


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]
