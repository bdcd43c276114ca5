"""Published tensor names ↔ ours. The one place that knows both.

A published tensor is one of ours, or some rows of one: queries, keys and values are a single matrix here, and so are
the two ways into a feed-forward.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tts_worker.model.codec_config import Codec, Stage
from tts_worker.model.config import Config, Transformer

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A published tensor, and where it is in our model."""

    published: str
    shape: Shape
    ours: str
    first_row: int = 0
    """Of `ours`, where this one begins."""


def entries(config: Config, encoder: bool) -> list[Entry]:
    """Every tensor of a checkpoint; those of the codec's encoder if it is to have one."""
    return [
        Entry("mm_audio_embeddings.tok_embeddings.weight", (config.vocab_size, config.dim), "text_embedding.weight"),
        Entry(
            "mm_audio_embeddings.audio_codebook_embeddings.embeddings.weight",
            (config.audio.embedding_rows, config.dim),
            "frame_embedding.weight",
        ),
        *_backbone(config),
        *_heads(config),
        *_decoder(config.codec),
        *(_encoder(config.codec) if encoder else ()),
    ]


def _backbone(config: Config) -> Iterator[Entry]:
    yield Entry("norm.weight", (config.dim,), "backbone.norm.weight")
    for index in range(config.n_layers):
        yield from _layer(f"layers.{index}", f"backbone.layers.{index}", config)


def _heads(config: Config) -> Iterator[Entry]:
    dim, audio = config.flow.dim, config.audio
    for theirs, ours, shape in (
        ("semantic_codebook_output", "semantic", (audio.semantic_rows, dim)),
        ("input_projection", "values_in", (dim, audio.n_acoustic_codebook)),
        ("time_projection", "time_in", (dim, dim)),
        ("llm_projection", "state_in", (dim, dim)),
        ("norm", "norm", (dim,)),
        ("acoustic_codebook_output", "values_out", (audio.n_acoustic_codebook, dim)),
    ):
        yield Entry(f"acoustic_transformer.{theirs}.weight", shape, f"heads.{ours}.weight")
    for index in range(config.flow.n_layers):
        yield from _layer(f"acoustic_transformer.layers.{index}", f"heads.layers.{index}", config.flow)


def _decoder(codec: Codec) -> Iterator[Entry]:
    theirs, ours = "audio_tokenizer.decoder_blocks", "decoder"
    yield Entry(
        "audio_tokenizer.quantizer.semantic_codebook.embedding_sum",
        (codec.semantic_codebook_size, codec.semantic_dim),
        "decoder.quantiser.embedding_sum",
    )
    yield Entry(
        "audio_tokenizer.quantizer.semantic_codebook.cluster_usage",
        (codec.semantic_codebook_size,),
        "decoder.quantiser.cluster_usage",
    )
    width = codec.latent
    for index, stage in enumerate(codec.decoder_stages):
        # A transposed kernel has its inputs first, and the norm is over all but the first dimension.
        first, second = (codec.dim, width) if stage.stride == 1 else (width, codec.dim)
        shape = (first, second, stage.kernel)
        yield from _kernel(f"{theirs}.{2 * index}", f"{ours}.convolutions.{index}", shape, codec)
        yield from _stage(f"{theirs}.{2 * index + 1}", f"{ours}.stages.{index}", stage, codec)
        width = codec.dim
    shape = (codec.pretransform_patch_size, width, codec.patch_proj_kernel_size)
    yield from _kernel("audio_tokenizer.output_proj", f"{ours}.convolutions.{len(codec.decoder_stages)}", shape, codec)


def _encoder(codec: Codec) -> Iterator[Entry]:
    theirs, ours = "audio_tokenizer.encoder_blocks", "encoder"
    shape = (codec.dim, codec.pretransform_patch_size, codec.patch_proj_kernel_size)
    yield from _kernel("audio_tokenizer.input_proj", f"{ours}.convolutions.0", shape, codec)
    for index, stage in enumerate(codec.encoder_stages):
        last = index == len(codec.encoder_stages) - 1
        yield from _stage(f"{theirs}.{2 * index}", f"{ours}.stages.{index}", stage, codec)
        shape = (codec.latent if last else codec.dim, codec.dim, stage.kernel)
        yield from _kernel(f"{theirs}.{2 * index + 1}", f"{ours}.convolutions.{index + 1}", shape, codec)


def _layer(theirs: str, ours: str, sizes: Transformer | Codec) -> Iterator[Entry]:
    """Attention and feed-forward, and the norms before them."""
    dim, hidden = sizes.dim, sizes.hidden_dim
    queries, keys = sizes.n_heads * sizes.head_dim, sizes.n_kv_heads * sizes.head_dim
    qkv, gate_up = f"{ours}.attention.qkv.weight", f"{ours}.feed_forward.gate_up.weight"
    yield Entry(f"{theirs}.attention_norm.weight", (dim,), f"{ours}.attention_norm.weight")
    yield Entry(f"{theirs}.attention.wq.weight", (queries, dim), qkv)
    yield Entry(f"{theirs}.attention.wk.weight", (keys, dim), qkv, queries)
    yield Entry(f"{theirs}.attention.wv.weight", (keys, dim), qkv, queries + keys)
    yield Entry(f"{theirs}.attention.wo.weight", (dim, queries), f"{ours}.attention.out.weight")
    yield Entry(f"{theirs}.ffn_norm.weight", (dim,), f"{ours}.ffn_norm.weight")
    yield Entry(f"{theirs}.feed_forward.w1.weight", (hidden, dim), gate_up)
    yield Entry(f"{theirs}.feed_forward.w3.weight", (hidden, dim), gate_up, hidden)
    yield Entry(f"{theirs}.feed_forward.w2.weight", (dim, hidden), f"{ours}.feed_forward.down.weight")


def _stage(theirs: str, ours: str, stage: Stage, codec: Codec) -> Iterator[Entry]:
    width = (codec.dim,)
    for index in range(stage.layers):
        layer, mine = f"{theirs}.layers.{index}", f"{ours}.{index}"
        yield from _layer(layer, mine, codec)
        if codec.qk_norm:
            yield Entry(f"{layer}.attention.q_norm.weight", width, f"{mine}.q_norm.weight")
            yield Entry(f"{layer}.attention.k_norm.weight", width, f"{mine}.k_norm.weight")
        if codec.layer_scale:
            yield Entry(f"{layer}.attention_scale", width, f"{mine}.attention_scale")
            yield Entry(f"{layer}.ffn_scale", width, f"{mine}.ffn_scale")


def _kernel(theirs: str, ours: str, shape: Shape, codec: Codec) -> Iterator[Entry]:
    if codec.conv_weight_norm:
        normed = f"{theirs}.conv.parametrizations.weight"
        yield Entry(f"{normed}.original0", (shape[0], 1, 1), f"{ours}.kernel.gain")
        yield Entry(f"{normed}.original1", shape, f"{ours}.kernel.direction")
    else:
        yield Entry(f"{theirs}.conv.weight", shape, f"{ours}.kernel.direction")
