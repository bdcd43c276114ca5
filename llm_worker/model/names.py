"""Published tensor names ↔ ours, in the native layout and in that of Hugging Face. The one place that knows all three.

A published tensor is one of ours or a part of one: what query and cache are made narrow with is one matrix here, gate
and up are one, and all experts of a layer are one tensor. PURE.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from llm_worker.model.config import Config

Shape = tuple[int, ...]
Layout = Literal["native", "hf"]

_SKIPPED = {
    "native": ("vision_encoder.", "patch_merger.", "pre_mm_projector_norm.", "vision_language_adapter."),
    "hf": ("vision_tower.", "multi_modal_projector."),
}
_WITH_VISION, _TEXT_ONLY = "language_model.", ""
"""What HF names begin with, before `model.` and `lm_head.`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A published tensor, and where it is in our model."""

    published: str
    shape: Shape
    ours: str
    expert: int | None = None
    """Of `ours`, the first index; None: all of it."""
    first_row: int = 0
    """Of what that leaves, where this one begins."""
    linear: bool = False
    """Whether it is a matrix that may be stored in fewer bits, with scales beside it. The router never is."""
    table: bool = False
    """Embedding and output head: in fewer bits only in our own files."""

    @property
    def stem(self) -> str:
        """What the names of scales begin with."""
        return self.published.removesuffix(".weight")


def entries(config: Config, layout: Layout = "native", prefix: str = "") -> list[Entry]:
    """Every tensor of a checkpoint. `prefix`: of the HF layout, see `prefix_of`."""
    return list(_native(config) if layout == "native" else _hf(config, prefix))


def layout_of(names: Iterable[str]) -> tuple[Layout, str]:
    """Which layout the names of a file are of, and with what prefix; native, unless they look like the other."""
    names = list(names)
    if any(name.startswith("language_model.") for name in names):
        return "hf", _WITH_VISION
    if any(name.startswith(("model.", "lm_head.")) for name in names):
        return "hf", _TEXT_ONLY
    return "native", ""


def skipped(name: str, layout: Layout) -> bool:
    """Whether a tensor is of the part that sees images, which the decoder of text does without."""
    return name.startswith(_SKIPPED[layout])


def _native(config: Config) -> Iterator[Entry]:
    table = (config.vocab_size, config.dim)
    yield Entry("tok_embeddings.weight", table, "embedding.weight", table=True)
    for index in range(config.n_layers):
        theirs, ours = f"layers.{index}", f"layers.{index}"
        yield from _around(
            config,
            ours,
            {
                "attention_norm": f"{theirs}.attention_norm",
                "query_narrow": f"{theirs}.attention.wq_a",
                "query_norm": f"{theirs}.attention.q_a_norm",
                "queries": f"{theirs}.attention.wq_b",
                "latent_narrow": f"{theirs}.attention.wkv_a_with_mqa",
                "latent_norm": f"{theirs}.attention.kv_a_norm",
                "keys_values": f"{theirs}.attention.wkv_b",
                "out": f"{theirs}.attention.wo",
                "ffn_norm": f"{theirs}.ffn_norm",
                "router": f"{theirs}.gate",
                "shared_gate": f"{theirs}.shared_experts.w1",
                "shared_up": f"{theirs}.shared_experts.w3",
                "shared_down": f"{theirs}.shared_experts.w2",
            },
        )
        hidden, experts = config.moe.expert_hidden_dim, f"{ours}.feed_forward.experts"
        into, back = (hidden, config.dim), (config.dim, hidden)
        for expert in range(config.moe.num_experts):
            stem = f"{theirs}.experts.{expert}"
            yield Entry(f"{stem}.w1.weight", into, f"{experts}.gate_up", expert, 0, linear=True)
            yield Entry(f"{stem}.w3.weight", into, f"{experts}.gate_up", expert, hidden, linear=True)
            yield Entry(f"{stem}.w2.weight", back, f"{experts}.down", expert, 0, linear=True)
    yield Entry("norm.weight", (config.dim,), "norm.weight")
    if not config.tied_embeddings:
        yield Entry("output.weight", table, "output.weight", table=True)


def _hf(config: Config, prefix: str) -> Iterator[Entry]:
    table = (config.vocab_size, config.dim)
    yield Entry(f"{prefix}model.embed_tokens.weight", table, "embedding.weight", table=True)
    for index in range(config.n_layers):
        theirs, ours = f"{prefix}model.layers.{index}", f"layers.{index}"
        yield from _around(
            config,
            ours,
            {
                "attention_norm": f"{theirs}.input_layernorm",
                "query_narrow": f"{theirs}.self_attn.q_a_proj",
                "query_norm": f"{theirs}.self_attn.q_a_layernorm",
                "queries": f"{theirs}.self_attn.q_b_proj",
                "latent_narrow": f"{theirs}.self_attn.kv_a_proj_with_mqa",
                "latent_norm": f"{theirs}.self_attn.kv_a_layernorm",
                "keys_values": f"{theirs}.self_attn.kv_b_proj",
                "out": f"{theirs}.self_attn.o_proj",
                "ffn_norm": f"{theirs}.post_attention_layernorm",
                "router": f"{theirs}.mlp.gate",
                "shared_gate": f"{theirs}.mlp.shared_experts.gate_proj",
                "shared_up": f"{theirs}.mlp.shared_experts.up_proj",
                "shared_down": f"{theirs}.mlp.shared_experts.down_proj",
            },
        )
        count, hidden = config.moe.num_experts, config.moe.expert_hidden_dim
        experts, stem = f"{ours}.feed_forward.experts", f"{theirs}.mlp.experts"
        yield Entry(f"{stem}.gate_up_proj", (count, 2 * hidden, config.dim), f"{experts}.gate_up", linear=True)
        yield Entry(f"{stem}.down_proj", (count, config.dim, hidden), f"{experts}.down", linear=True)
    yield Entry(f"{prefix}model.norm.weight", (config.dim,), "norm.weight")
    if not config.tied_embeddings:
        yield Entry(f"{prefix}lm_head.weight", table, "output.weight", table=True)


def _around(config: Config, ours: str, theirs: dict[str, str]) -> Iterator[Entry]:
    """All of a layer but its routed experts, which the layouts cut differently."""
    attention, ffn = f"{ours}.attention", f"{ours}.feed_forward"
    dim, heads, shared = config.dim, config.n_heads, config.shared_hidden_dim
    per_head = config.qk_nope_head_dim + config.v_head_dim
    gate_up = f"{ffn}.shared.gate_up.weight"

    def norm(part: str, size: int, mine: str) -> Entry:
        return Entry(f"{theirs[part]}.weight", (size,), f"{mine}.weight")

    def matrix(part: str, shape: Shape, mine: str, first_row: int = 0) -> Entry:
        return Entry(f"{theirs[part]}.weight", shape, mine, first_row=first_row, linear=True)

    yield norm("attention_norm", dim, f"{ours}.attention_norm")
    yield matrix("query_narrow", (config.q_lora_rank, dim), f"{attention}.narrow.weight")
    yield norm("query_norm", config.q_lora_rank, f"{attention}.query_norm")
    yield matrix("queries", (heads * config.query_dim, config.q_lora_rank), f"{attention}.queries.weight")
    yield matrix("latent_narrow", (config.latent_dim, dim), f"{attention}.narrow.weight", config.q_lora_rank)
    yield norm("latent_norm", config.kv_lora_rank, f"{attention}.latent_norm")
    yield matrix("keys_values", (heads * per_head, config.kv_lora_rank), f"{attention}.keys_values.weight")
    yield matrix("out", (dim, heads * config.v_head_dim), f"{attention}.out.weight")
    yield norm("ffn_norm", dim, f"{ours}.ffn_norm")
    yield Entry(f"{theirs['router']}.weight", (config.moe.num_experts, dim), f"{ffn}.router.weight")
    yield matrix("shared_gate", (shared, dim), gate_up)
    yield matrix("shared_up", (shared, dim), gate_up, shared)
    yield matrix("shared_down", (dim, shared), f"{ffn}.shared.down.weight")
