#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes kvpress_keep_sets.safetensors: which tokens kvpress 0.5.5 keeps of fixed tensors.

    pip install kvpress==0.5.5 && python tests/kv_efficient/data/kvpress_keep_sets.py

Keys and queries are those that meet in the product (no rotation). kept.<method>: [kv_heads, tokens], 1 where kept."""
import pathlib
import types

import torch
from kvpress.presses.adakv_press import AdaKVPress
from kvpress.presses.expected_attention_press import ExpectedAttentionPress
from kvpress.presses.keydiff_press import KeyDiffPress
from kvpress.presses.lagkv_press import LagKVPress
from kvpress.presses.snapkv_press import SnapKVPress
from kvpress.presses.tova_press import TOVAPress
from safetensors.torch import save_file

HEADS, KV_HEADS, TOKENS, WIDTH = 4, 2, 60, 16


class Attention(torch.nn.Module):
    """As much of an attention layer as a press asks for: queries come in as hidden states."""

    def __init__(self):
        super().__init__()
        self.config = types.SimpleNamespace(num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
                                            _attn_implementation="sdpa")
        self.head_dim = WIDTH
        self.q_proj = torch.nn.Identity()

    def rotary_emb(self, x, positions):
        one = torch.ones(1, positions.shape[1], WIDTH)
        return one, torch.zeros_like(one)


torch.manual_seed(1)
keys, values = (torch.randn(1, KV_HEADS, TOKENS, WIDTH) for _ in range(2))
queries = 1.5 * torch.randn(1, HEADS, TOKENS, WIDTH) + 0.3
hidden = queries.transpose(1, 2).reshape(1, TOKENS, HEADS * WIDTH)
scores = queries @ keys.repeat_interleave(HEADS // KV_HEADS, 1).transpose(2, 3) / WIDTH**0.5
causal = torch.full((TOKENS, TOKENS), float("-inf")).triu(1)
attention = (scores + causal).softmax(-1)
module = Attention()


def kept(press, count, attentions=None):
    score = press.score(module, hidden, keys, values, attentions, {})[0]
    out = torch.zeros(KV_HEADS, TOKENS)
    return out.scatter(1, score.topk(count, -1).indices, 1)


sets = {
    "keydiff": kept(KeyDiffPress(), 20),
    "snapkv": kept(SnapKVPress(window_size=4, kernel_size=5), 24, attention),
    "tova": kept(TOVAPress(), 21, attention),
    "expected_attention": kept(ExpectedAttentionPress(n_future_positions=1, n_sink=0), 20),
    # 4 sinks, 7 partitions of 8 tokens, of which 6 are scored: the last one and 3 of each.
    "lagkv": kept(LagKVPress(n_sink=4, lag_size=8), 4 + 8 + 6 * 3),
}
press = KeyDiffPress(compression_ratio=1 - 20.5 / TOKENS)
AdaKVPress(press).compress(module, hidden, keys, values, None, {})
_, heads, dropped = module.masked_key_indices
ada = torch.ones(KV_HEADS, TOKENS)
ada[heads, dropped] = 0
sets["keydiff_layer"] = ada
tensors = {f"kept.{name}": kept_set.to(torch.uint8).contiguous() for name, kept_set in sets.items()}
tensors |= {"keys": keys[0].contiguous(), "values": values[0].contiguous(), "queries": queries[0].contiguous()}
save_file(tensors, pathlib.Path(__file__).with_name("kvpress_keep_sets.safetensors"), metadata={"kvpress": "0.5.5"})
for name, kept_set in sets.items():
    print(name, kept_set.sum(1).int().tolist())
