"""Padding never counts: where it cannot be told from tokens, the model is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bdbench.api import InputError
from bdbench_defense_pruning.activity import mean_activity
from bdbench_defense_pruning.blocks import feed_forward_blocks

COMMON = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12, "vocab_size": 20}
XLNET = {"d_model": 8, "n_head": 2, "d_inner": 12, "n_layer": 1, "vocab_size": 20}
FUNNEL = {"d_model": 8, "n_head": 2, "d_head": 4, "d_inner": 12, "vocab_size": 20}
KINDS = {
    "longformer": {**COMMON, "num_hidden_layers": 1, "attention_window": 64},
    "xlnet": XLNET,
    "funnel": {**FUNNEL, "block_sizes": [1, 1]},
    "canine": {**COMMON, "num_hidden_layers": 1},
}


def made(kind):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = AutoConfig.for_model(kind, **KINDS[kind])
        return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.fixture
def activity(scene, bert, texts):
    """Runs `mean_activity` on a module, whose batches are made of token numbers and a mask."""

    stage = scene(bert, bert(), texts)

    def activity(module, rows=texts, *, padding=0):
        stage.engine.model.padding = padding
        seen = []

        def loss(given, inputs, labels):
            seen.append(tuple(inputs["input_ids"].shape))
            with torch.no_grad():
                given(**inputs)

        engine = SimpleNamespace(batches=stage.engine.batches, loss=loss)
        view = SimpleNamespace(engine=engine, seeds=stage.view("fine-pruning").seeds)
        found = mean_activity(view, module, stage.victim, rows, feed_forward_blocks(module))
        return found, seen

    return activity


@pytest.mark.parametrize("kind", KINDS)
def test_models_with_positions_of_their_own_are_refused(activity, kind):
    module = made(kind)
    with pytest.raises(InputError, match=rf"padding cannot be told.* of {type(module).__name__}"):
        activity(module)
    assert not any(block.down._forward_pre_hooks for block in feed_forward_blocks(module))


@pytest.mark.parametrize("kind", ["xlnet", "bert"])
def test_as_many_rows_as_tokens_hide_no_model_that_puts_tokens_first(activity, texts, kind, bert):
    module = bert() if kind == "bert" else made(kind)
    square = len(texts) - max(map(len, texts.inputs["x"]))
    if kind == "xlnet":
        with pytest.raises(InputError, match="XLNetForSequenceClassification at positions"):
            activity(module, padding=square)
        return
    seen = activity(module, padding=square)[1]
    assert seen[0] == (len(texts), len(texts))
    # Nothing but the question was asked of the second batch.
    assert len(seen) == 2
    assert seen[1][0] == 1


def test_a_second_look_changes_no_activity(activity, texts, bert):
    square = len(texts) - max(map(len, texts.inputs["x"]))
    for one, other in zip(activity(bert())[0], activity(bert(), padding=square)[0], strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_batches_that_tell_are_looked_at_once(activity, bert, texts):
    assert len(activity(bert())[1]) == 1
    # Without padding, it does not matter what comes first.
    even = texts.with_input("x", [[1, 4, 5]] * len(texts)).select([0, 1, 2])
    assert activity(bert(), even)[1] == [(3, 3)]


def test_a_block_on_one_value_for_each_row_counts_each_row(activity, texts):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(20, 4)
            self.head = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))

        def forward(self, input_ids, attention_mask):
            return self.head((self.embed(input_ids) * attention_mask[..., None]).sum(1))

    module = Pooled()
    (found,), _ = activity(module)
    expected = torch.stack(
        [module.head[1](module.head[0](module.embed(torch.tensor(row)).sum(0)))
         for row in texts.inputs["x"]]
    )  # fmt: skip
    assert torch.allclose(found, expected.double().mean(0), atol=1e-6)
