"""The backbone beside the same decoder by other hands: `transformers` has Mistral's, with rotary pairs in halves."""

import pytest
import torch
from transformers import MistralConfig, MistralModel

from tests.tts_worker.model.support import LENGTH, close, model
from tts_worker.model.backbone import Cache
from tts_worker.model.config import Config, shipped_config
from tts_worker.model.network import Voxtral


def theirs(of: Voxtral) -> MistralModel:
    """With our weights. Each head's rows of queries and keys are put in the order of halves: even lanes, then odd."""
    config = of.config
    made = MistralModel(
        MistralConfig(
            vocab_size=8,
            hidden_size=config.dim,
            intermediate_size=config.hidden_dim,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            head_dim=config.head_dim,
            rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            sliding_window=None,
            max_position_embeddings=LENGTH,
        )
    ).eval()
    state = {"embed_tokens.weight": made.embed_tokens.weight, "norm.weight": of.backbone.norm.weight}
    for index, layer in enumerate(of.backbone.layers):
        heads = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
        q, k, v = layer.attention.qkv.weight.split([count * config.head_dim for count in heads])
        gate, up = layer.feed_forward.gate_up.weight.chunk(2)
        state |= {
            f"layers.{index}.{name}.weight": weight
            for name, weight in {
                "self_attn.q_proj": halves(q, config),
                "self_attn.k_proj": halves(k, config),
                "self_attn.v_proj": v,
                "self_attn.o_proj": layer.attention.out.weight,
                "mlp.gate_proj": gate,
                "mlp.up_proj": up,
                "mlp.down_proj": layer.feed_forward.down.weight,
                "input_layernorm": layer.attention_norm.weight,
                "post_attention_layernorm": layer.ffn_norm.weight,
            }.items()
        }
    made.load_state_dict(state)
    return made


def halves(weight: torch.Tensor, config: Config) -> torch.Tensor:
    return weight.unflatten(0, (-1, config.head_dim // 2, 2)).transpose(1, 2).flatten(0, 2)


@pytest.mark.parametrize("name", ["nano", "micro"])
@torch.inference_mode()
def test_states_are_those_of_transformers(name: str) -> None:
    config = shipped_config(name)
    ours = model(config=config)
    inputs = torch.randn(2, 90, config.dim, generator=torch.Generator().manual_seed(4))
    places = torch.arange(90).expand(2, -1)
    cache = Cache.empty(config, 2, LENGTH, torch.float32, torch.device("cpu"))
    states = ours.backbone(inputs, places, cache)
    reference = theirs(ours)(inputs_embeds=inputs, position_ids=places).last_hidden_state
    assert close(states, reference)
    later = ours.backbone(inputs[:, :1], torch.full((2, 1), 90), cache)  # from the cache, one position more
    whole = theirs(ours)(inputs_embeds=torch.cat((inputs, inputs[:, :1]), 1)).last_hidden_state[:, -1:]
    assert close(later, whole)
    assert not close(theirs_of_neighbours(ours, inputs), states)


def theirs_of_neighbours(ours: Voxtral, inputs: torch.Tensor) -> torch.Tensor:
    """What comes of it when the rows are left in our order: the mistake that no error tells of."""
    made = theirs(ours)
    for index, layer in enumerate(ours.backbone.layers):
        heads = ours.config.n_heads * ours.config.head_dim
        made.layers[index].self_attn.q_proj.weight.copy_(layer.attention.qkv.weight[:heads])
    states: torch.Tensor = made(inputs_embeds=inputs).last_hidden_state
    return states
