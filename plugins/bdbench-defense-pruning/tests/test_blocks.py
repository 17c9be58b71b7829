from __future__ import annotations

import pytest
import torch
from torch import nn

from bdbench.api import InputError
from bdbench_defense_pruning.activity import mean_activity
from bdbench_defense_pruning.blocks import FeedForward, feed_forward_blocks
from bdbench_defense_pruning.gates import Gates


def names(module):
    return [block.name for block in feed_forward_blocks(module)]


def test_finds_the_blocks_of_bert(bert):
    assert names(bert()) == [f"bert.encoder.layer.{n}.output.dense" for n in range(2)]
    blocks = feed_forward_blocks(bert())
    assert all((block.up.out_features, block.down.in_features) == (12, 12) for block in blocks)


def test_finds_blocks_of_bert_that_do_not_widen():
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=9,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    assert names(BertForSequenceClassification(config)) == ["bert.encoder.layer.0.output.dense"]


def test_finds_the_blocks_of_others():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    distilbert = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=9, dim=8, n_layers=2, n_heads=2, hidden_dim=16)
    )
    assert names(distilbert) == [f"distilbert.transformer.layer.{n}.ffn.lin2" for n in range(2)]
    assert names(nn.TransformerEncoderLayer(8, 2, 16)) == ["linear2"]


def test_mobilebert_s_bottlenecks_are_no_blocks():
    from transformers import MobileBertConfig, MobileBertForSequenceClassification

    config = MobileBertConfig(
        vocab_size=9,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        embedding_size=16,
        intra_bottleneck_size=16,
        true_hidden_size=16,
        num_feedforward_networks=2,
    )
    module = MobileBertForSequenceClassification(config)
    assert names(module) == [
        f"mobilebert.encoder.layer.{n}.{part}output.dense"
        for n in range(2)
        for part in ("", "ffn.0.")
    ]
    assert all(block.up.out_features == 64 for block in feed_forward_blocks(module))


def test_finds_the_hidden_layers_of_an_mlp(mlp):
    assert names(mlp()) == ["2"]
    deep = nn.Sequential(
        nn.Linear(3, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)
    )
    assert names(deep) == ["3", "5"]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(3, 7)
            self.head = nn.Linear(7, 2)

    assert names(Net()) == ["head"]


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)),
        nn.MultiheadAttention(8, 2),
    ],
)
def test_refuses_models_without_any(module):
    with pytest.raises(InputError, match=type(module).__name__):
        feed_forward_blocks(module)


@pytest.mark.parametrize("bias", [True, False])
def test_removing_neurons_is_what_closing_their_gates_is(bias):
    module = nn.Sequential(nn.Linear(4, 6, bias=bias), nn.GELU(), nn.Linear(6, 3))
    block = FeedForward("2", module[0], module[2])
    gone = torch.tensor([1, 4])
    x = torch.randn(5, 4)
    whole = module(x)
    with Gates([block.down]) as gates:
        gates.close([gone])
        closed = module(x)
        gates.close([gone[:0]])
        assert torch.equal(module(x), whole)
        gates.close([gone])
    assert torch.equal(module(x), whole)
    block.remove(gone)
    assert torch.allclose(module(x), closed, atol=1e-6)
    assert not torch.allclose(closed, whole)


def by_hand(module, block, rows):
    """Token by token, without any padding."""
    seen = []
    with torch.no_grad():
        for ids in rows.inputs["x"]:
            states = module(torch.tensor([ids]), output_hidden_states=True).hidden_states
            layer = module.bert.encoder.layer[block]
            attended = layer.attention(states[block])[0]
            seen.append(torch.nn.functional.gelu(layer.intermediate.dense(attended))[0])
    return torch.cat(seen).double().abs().mean(dim=0)


@pytest.mark.parametrize("padding", [0, 11])
def test_activity_is_over_real_tokens_only(scene, bert, texts, padding):
    stage = scene(bert, bert(), texts)
    stage.engine.model.padding = padding
    module = stage.engine.load(stage.victim)
    blocks = feed_forward_blocks(module)
    found = mean_activity(stage.view("fine-pruning"), module, stage.victim, texts, blocks)
    for number, values in enumerate(found):
        assert torch.allclose(values, by_hand(module, number, texts), atol=1e-6)


def test_activity_of_vectors(scene, backdoored, vectors, mlp):
    stage = scene(mlp, backdoored, vectors)
    module = stage.engine.load(stage.victim)
    (found,) = mean_activity(
        stage.view("fine-pruning"), module, stage.victim, vectors, feed_forward_blocks(module)
    )
    with torch.no_grad():
        expected = module[1](module[0](torch.tensor(vectors.inputs["x"]))).double().mean(dim=0)
    assert torch.allclose(found, expected)
    assert found[4] == 0


def test_refuses_a_block_that_takes_no_part(scene, vectors, mlp):
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.Linear(4, 2)
            self.idle = mlp()

        def forward(self, x):
            return self.used(x)

    stage = scene(Idle, Idle(), vectors)
    module = stage.engine.load(stage.victim)
    blocks = feed_forward_blocks(module)
    with pytest.raises(InputError, match="took no part"):
        mean_activity(stage.view("fine-pruning"), module, stage.victim, vectors, blocks)
    assert not any(block.down._forward_pre_hooks for block in blocks)
