"""The specs of transformers, in small: against torch.nn, torchvision, and formulas that were held against Hugging Face.

With GPT2LMHeadModel, BertModel and LlamaForCausalLM of transformers 5 and the same weights, outputs and gradients were
equal to 1e-15, those of Llama to 3e-7: it takes norms and angles in float32 whatever the model's type.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netspec
from tests.conformance.judging_models import Tensors, judge_model
from tests.zoo.torchvision_models import torchvision_model

RNG = np.random.default_rng(5)
IDS = RNG.integers(0, 11, (3, 7))
MASK = np.array([[True] * 7, [True] * 4 + [False] * 3, [False, True, False, True, True, True, True]])


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}], ids=["last", "first"])
def test_the_transformer_of_torch(options: dict[str, object]) -> None:
    sizes = {"width": 12, "heads": 3, "hidden": 10, "depths": [2, 1]}
    module = torch.nn.Transformer(12, 3, 2, 1, 10, batch_first=True, **options)  # type: ignore[arg-type]
    arrays = {"source": RNG.normal(size=(3, 7, 12)), "target": RNG.normal(size=(3, 5, 12)), "source_mask": MASK}

    def function(x: Tensors, w: Tensors) -> Tensors:
        ahead, padding = torch.ones(5, 5, dtype=torch.bool).triu(1), ~x["source_mask"]
        masks = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding}
        return {"y": module(x["source"], x["target"], tgt_mask=ahead, **masks)}

    judge_model(netspec.load("transformer", params={**sizes, **options}), arrays, function, module)


def test_the_vision_transformer_of_torchvision() -> None:
    large = torchvision_model("vit_b_16")  # skips
    small = type(large)(image_size=6, patch_size=2, num_layers=2, num_heads=3, hidden_dim=12, mlp_dim=10, num_classes=4)
    sizes = {"size": 6, "patch": 2, "depth": 2, "num_heads": 3, "width": 12, "hidden": 10, "classes": 4}
    arrays = {"image": RNG.normal(size=(3, 3, 6, 6))}
    judge_model(netspec.load("vit_b_16", params=sizes), arrays, lambda x, w: {"logits": small(x["image"])}, small)
    counts = netspec.count_params("vit_b_16")
    assert [(row.path, row.shape) for row in counts.rows] == [
        (path, tuple(tensor.shape)) for path, tensor in large.state_dict().items()
    ]


def heads(x: torch.Tensor, count: int) -> torch.Tensor:
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """`[batch, heads, time, features]` in, `[batch, time, heads * features]` out."""
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~kept, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def norm(x: torch.Tensor, w: Tensors, path: str, eps: float) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{path}.weight"], w[f"{path}.bias"], eps)


def affine(x: torch.Tensor, w: Tensors, path: str) -> torch.Tensor:
    return F.linear(x, w[f"{path}.weight"], w.get(f"{path}.bias"))


CAUSAL = torch.ones(7, 7, dtype=torch.bool).tril()


def gpt2(given: Tensors, w: Tensors) -> Tensors:
    x = w["transformer.wte.weight"][given["input_ids"]] + w["transformer.wpe.weight"][:7]
    for i in range(2):
        h = f"transformer.h.{i}"
        y = norm(x, w, f"{h}.ln_1", 1e-5) @ w[f"{h}.attn.c_attn.weight"] + w[f"{h}.attn.c_attn.bias"]
        q, k, v = (heads(part, 3) for part in y.chunk(3, -1))
        x = x + attended(q, k, v, CAUSAL) @ w[f"{h}.attn.c_proj.weight"] + w[f"{h}.attn.c_proj.bias"]
        y = norm(x, w, f"{h}.ln_2", 1e-5) @ w[f"{h}.mlp.c_fc.weight"] + w[f"{h}.mlp.c_fc.bias"]
        x = x + F.gelu(y, approximate="tanh") @ w[f"{h}.mlp.c_proj.weight"] + w[f"{h}.mlp.c_proj.bias"]
    return {"logits": norm(x, w, "transformer.ln_f", 1e-5) @ w["transformer.wte.weight"].T}


def bert(given: Tensors, w: Tensors) -> Tensors:
    table = {name: w[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")}
    words = F.embedding(given["input_ids"], table["word"], padding_idx=0)
    x = words + table["position"][:7] + table["token_type"][given["token_type_ids"]]
    x = norm(x, w, "embeddings.LayerNorm", 1e-12)
    for i in range(2):
        at = f"encoder.layer.{i}.attention"
        q, k, v = (heads(affine(x, w, f"{at}.self.{name}"), 3) for name in ("query", "key", "value"))
        y = attended(q, k, v, given["attention_mask"][:, None, None])
        x = norm(affine(y, w, f"{at}.output.dense") + x, w, f"{at}.output.LayerNorm", 1e-12)
        layer = f"encoder.layer.{i}"
        y = F.gelu(affine(x, w, f"{layer}.intermediate.dense"))
        x = norm(affine(y, w, f"{layer}.output.dense") + x, w, f"{layer}.output.LayerNorm", 1e-12)
    return {"last_hidden_state": x, "pooler_output": affine(x[:, 0], w, "pooler.dense").tanh()}


def llama(given: Tensors, w: Tensors) -> Tensors:
    def scaled(x: torch.Tensor, path: str) -> torch.Tensor:
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w[f"{path}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        angles = torch.arange(7.0, dtype=x.dtype)[:, None] * 10000 ** (-torch.arange(0, 4, 2, dtype=x.dtype) / 4)
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        return x * cos + torch.cat([-x[..., 2:], x[..., :2]], -1) * sin

    x = w["model.embed_tokens.weight"][given["input_ids"]]
    for i in range(2):
        at = f"model.layers.{i}"
        y = scaled(x, f"{at}.input_layernorm")
        q, k, v = (affine(y, w, f"{at}.self_attn.{name}_proj") for name in "qkv")
        k, v = (heads(each, 2).repeat_interleave(3, 1) for each in (k, v))
        x = x + affine(attended(turned(heads(q, 6)), turned(k), v, CAUSAL), w, f"{at}.self_attn.o_proj")
        y = scaled(x, f"{at}.post_attention_layernorm")
        y = F.silu(affine(y, w, f"{at}.mlp.gate_proj")) * affine(y, w, f"{at}.mlp.up_proj")
        x = x + affine(y, w, f"{at}.mlp.down_proj")
    return {"logits": affine(scaled(x, "model.norm"), w, "lm_head")}


def test_gpt2() -> None:
    spec = netspec.load("gpt2", params={"vocabulary": 11, "context": 9, "width": 12, "heads": 3, "depth": 2})
    judge_model(spec, {"input_ids": IDS}, gpt2)


def test_bert() -> None:
    sizes = {"vocabulary": 11, "context": 9, "width": 12, "heads": 3, "depth": 2, "hidden": 10}
    arrays = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": RNG.integers(0, 2, (3, 7))}
    judge_model(netspec.load("bert_base_uncased", params=sizes), arrays, bert)


def test_llama() -> None:
    sizes = {"vocabulary": 11, "width": 24, "heads": 6, "key_heads": 2, "depth": 2, "hidden": 10}
    judge_model(netspec.load("llama2_7b", params=sizes), {"input_ids": IDS}, llama)


@pytest.mark.parametrize(
    ("name", "params", "count"),
    [
        ("transformer", {}, 44_140_544),
        ("gpt2", {}, 124_439_808),
        ("gpt2", {"width": 1600, "heads": 25, "depth": 48}, 1_557_611_200),  # GPT-2 XL
        ("bert_base_uncased", {}, 109_482_240),
        ("bert_base_uncased", {"width": 1024, "heads": 16, "depth": 24, "hidden": 4096}, 335_141_888),  # large
        ("llama2_7b", {}, 6_738_415_616),
        ("llama2_7b", {"width": 5120, "heads": 40, "key_heads": 40, "depth": 40, "hidden": 13824}, 13_015_864_320),
        ("vit_b_16", {}, 86_567_656),
        ("vit_b_16", {"width": 1024, "num_heads": 16, "depth": 24, "hidden": 4096}, 304_326_632),  # vit_l_16
    ],
)
def test_the_published_numbers_of_parameters(name: str, params: dict[str, object], count: int) -> None:
    spec = netspec.load(name, params=params)
    assert netspec.count_params(spec).total == count
    assert spec.warnings == ()
