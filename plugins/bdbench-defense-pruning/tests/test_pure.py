from __future__ import annotations

import pytest
import torch

from bdbench.api import InputError
from bdbench_defense_pruning.attention import AttentionMaps, attention_layers, eager_attention
from bdbench_defense_pruning.clean_rows import halves
from bdbench_defense_pruning.config import PureConfig
from bdbench_defense_pruning.gates import Gates
from bdbench_defense_pruning.head_scores import cls_variance, layer_coefficients
from bdbench_defense_pruning.pure import Pure

INPUTS = {
    "input_ids": torch.tensor([[1, 4, 9, 5], [1, 7, 3, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


def distilbert():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=20, dim=8, n_layers=2, n_heads=2, hidden_dim=16)
    return DistilBertForSequenceClassification(config).eval()


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_sees_what_the_model_says_it_attends_to(bert, kind):
    module = bert() if kind == "bert" else distilbert()
    layers = attention_layers(module)
    assert [layer.heads for layer in layers] == [2, 2]
    with eager_attention(module), torch.no_grad():
        with AttentionMaps(layers) as maps:
            module(**INPUTS)
            seen = maps.take()
        assert not any(layer.attention._forward_hooks for layer in layers)
        told = module(**INPUTS, output_attentions=True).attentions
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen, told, strict=True))


def test_refuses_layers_whose_output_reads_more_than_the_heads():
    from transformers import ConvBertConfig, ConvBertForSequenceClassification

    config = ConvBertConfig(
        vocab_size=20,
        hidden_size=16,
        embedding_size=16,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=12,
    )
    with pytest.raises(
        InputError, match=r"no attention heads .* ConvBertForSequenceClassification"
    ):
        attention_layers(ConvBertForSequenceClassification(config))


def test_refuses_layers_that_do_not_say_how_many_heads_they_have():
    from transformers import LongformerConfig, LongformerForSequenceClassification

    config = LongformerConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
        attention_window=4,
    )
    with pytest.raises(
        InputError, match=r"no attention heads .* LongformerForSequenceClassification"
    ):
        attention_layers(LongformerForSequenceClassification(config))


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_removing_a_head_is_what_closing_its_gate_is(bert, kind):
    module = bert() if kind == "bert" else distilbert()
    layers = attention_layers(module)
    with torch.no_grad():
        whole = module(**INPUTS).logits
        with Gates([layer.output for layer in layers]) as gates:
            gates.close([layers[0].features([1]), layers[1].features([])])
            closed = module(**INPUTS).logits
        layers[0].remove([1])
        assert torch.allclose(module(**INPUTS).logits, closed, atol=1e-6)
    assert not torch.allclose(whole, closed)
    assert not any(linear.weight[4:].any() for linear in layers[0].projections)
    assert all(linear.weight[:4].any() for linear in layers[0].projections)


def test_a_removed_head_is_not_revived_by_training(bert):
    module = bert()
    layer = attention_layers(module)[0]
    layer.remove([0])
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(**INPUTS).logits.square().sum().backward()
        optimizer.step()
    assert not layer.output.weight[:, :4].any()
    assert layer.output.weight[:, 4:].any()


def test_puts_the_fast_attention_back(bert):
    module = bert()
    before = module.config._attn_implementation
    assert before == "sdpa"
    with eager_attention(module):
        assert module.config._attn_implementation == "eager"
    assert module.config._attn_implementation == before

    def failing():
        with eager_attention(module):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert module.config._attn_implementation == before


def test_says_so_where_attention_stays_hidden(bert):
    module = bert()
    layers = attention_layers(module)
    with AttentionMaps(layers) as maps:
        module(**INPUTS)
        with pytest.raises(InputError, match=r"no attention weights from bert.encoder.layer.0"):
            maps.take()


def pure(stage, *, root=0, **settings):
    return stage.repair(Pure(PureConfig(**settings)), "pure", root=root)


def test_prunes_from_the_victim_what_it_chose_on_a_tuned_copy(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    done = pure(stage, group=1, least_accuracy=0.0, epochs=1)
    # One head of each layer always stays.
    assert (done.notes["heads"], done.notes["heads_pruned"]) == (4, 2)
    state = stage.state(done)
    for name, heads in done.notes["pruned"].items():
        (head,) = heads
        own, other = slice(4 * head, 4 * head + 4), slice(4 - 4 * head, 8 - 4 * head)
        output = name.removesuffix(".self") + ".output.dense.weight"
        assert not state[output][:, own].any()
        assert state[output][:, other].all()
        for part in ("query", "key", "value"):
            assert not state[f"{name}.{part}.weight"][own].any()
            assert not state[f"{name}.{part}.bias"][own].any()
            assert state[f"{name}.{part}.weight"][other].all()
    assert done.notes["rows_fine_tuned_on"] == 24
    assert max(done.notes["layer_coefficients"]) == 1
    assert min(done.notes["layer_coefficients"]) == 0


def variances(stage, module, rows):
    layers = attention_layers(module)
    inputs = stage.engine.model.collate(rows.inputs["x"])
    with eager_attention(module), torch.no_grad(), AttentionMaps(layers) as maps:
        module(**inputs)
        return [
            cls_variance(each, PureConfig().row_length).mean(0).tolist() for each in maps.take()
        ]


def test_the_coefficients_are_those_of_the_pruned_copy(scene, bert, texts):
    """Of three layers, since of two one always has 0 and the other 1."""

    def build():
        return bert(layers=3)

    stage = scene(build, build(), texts)
    # So little training that the copy stays the victim.
    done = pure(stage, group=1, least_accuracy=0.0, epochs=1, learning_rate=1e-9)
    module = build()
    layers = attention_layers(module)
    pruned = [done.notes["pruned"].get(layer.name, []) for layer in layers]
    _, held_out = halves(texts, stage.view("pure").seeds.child("halves"))
    before = layer_coefficients(variances(stage, module, held_out), pruned)
    for layer, heads in zip(layers, pruned, strict=True):
        layer.remove(heads)
    after = layer_coefficients(variances(stage, module, held_out), pruned)
    assert after == pytest.approx(done.notes["layer_coefficients"], abs=1e-3)
    assert before != pytest.approx(after, abs=1e-2)


def test_prunes_the_head_that_attends_evenly(scene, bert, texts):
    module = bert()
    with torch.no_grad():
        for layer in module.bert.encoder.layer:
            attention = layer.attention.self
            attention.query.weight[4:] = 0  # head 1 of each layer scores all tokens alike
            attention.query.bias[4:] = 0
    stage = scene(bert, module, texts)
    done = pure(stage, group=2, least_accuracy=0.0, epochs=1, learning_rate=1e-6)
    assert set(map(tuple, done.notes["pruned"].values())) == {(1,)}
    assert len(done.notes["pruned"]) == 2


def test_says_so_where_no_head_may_go(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    done = pure(stage, least_accuracy=1.0, epochs=1, learning_rate=1e-6)
    assert done.notes["accuracy_unpruned"] < 1
    assert done.notes["heads_pruned"] == 0
    assert done.notes["pruned"] == {}
    assert "no head pruned" in done.notes["finding"]
    relative = pure(stage, tolerance=0.99, epochs=1, learning_rate=1e-6)
    assert relative.notes["heads_pruned"] == 2
    assert "finding" not in relative.notes


def test_below_the_least_accuracy_no_head_goes_even_if_that_would_help(
    scene, bert, texts, monkeypatch
):
    """The copy is right on half of the rows, and on all once any gate of a head is closed."""
    closed = []
    monkeypatch.setattr(Gates, "close", lambda _, features: closed.append(sum(map(len, features))))
    monkeypatch.setattr(
        "bdbench_defense_pruning.pure.accuracy", lambda *_: 1.0 if closed[-1] else 0.5
    )
    done = pure(scene(bert, bert(), texts), group=1, epochs=1)
    assert (done.notes["heads_pruned"], done.notes["pruned"]) == (0, {})
    assert (done.notes["accuracy_unpruned"], done.notes["accuracy_pruned"]) == (0.5, 0.5)
    assert "no head pruned" in done.notes["finding"]


def cls_attention(stage, checkpoint, texts):
    module = stage.engine.load(checkpoint)
    inputs = stage.engine.model.collate(texts.inputs["x"])
    layers = attention_layers(module)
    with eager_attention(module), torch.no_grad(), AttentionMaps(layers) as maps:
        module(**inputs)
        return sum(float(weights[:, :, 0].square().sum()) for weights in maps.take())


def test_the_penalty_flattens_the_attention(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    settings = {"least_accuracy": 1.0, "epochs": 20, "learning_rate": 3e-3}
    without = pure(stage, penalty=0.0, **settings)
    flattened = pure(stage, penalty=1.0, **settings)
    ours, theirs = (cls_attention(stage, each.checkpoint, texts) for each in (flattened, without))
    assert ours < 0.9 * theirs


def test_the_same_seed_gives_the_same_model(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    first, again, other = (
        stage.state(pure(stage, root=root, least_accuracy=0.0, epochs=1)) for root in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_padding_changes_nothing(scene, bert, texts):
    stage = scene(bert, bert(), texts)
    notes = []
    for padding in (0, 9):
        stage.engine.model.padding = padding
        notes.append(pure(stage, least_accuracy=0.0, epochs=1, learning_rate=1e-9).notes)
    assert notes[0]["pruned"] == notes[1]["pruned"]
    assert notes[0]["layer_coefficients"] == pytest.approx(notes[1]["layer_coefficients"], abs=1e-4)


def test_refuses_models_without_heads(scene, backdoored, vectors, mlp):
    stage = scene(mlp, backdoored, vectors)
    with pytest.raises(InputError, match="Sequential"):
        pure(stage)
