from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE

from bdbench.api import InputError
from bdbench.toolkit.weights import check_mergeable


@pytest.fixture
def check(models):
    def check(*, states=None, configs=(None, None), files=({}, {})):
        states = states or [models.state(seed) for seed in range(2)]
        checkpoints = []
        for n, state in enumerate(states):
            checkpoints.append(models.save(f"m{n}", state, config=configs[n]))
            for name, text in files[n].items():
                (checkpoints[-1].folder / name).write_text(text)
        check_mergeable(checkpoints, ["victim", "reference 1"])

    return check


@pytest.fixture
def refused(check):
    """Checks, and gives the message of the refusal, which must name both models."""

    def refused(**parts):
        with pytest.raises(
            InputError, match=r"^reference 1: .*cannot be combined.*victim"
        ) as caught:
            check(**parts)
        return str(caught.value)

    return refused


def test_accepts_models_that_correspond(check):
    config = {"architectures": ["A"], "id2label": {"0": "no", "1": "yes"}, "vocab_size": 37}
    tokenizer = {"tokenizer.json": "{}", "vocab.txt": "a"}
    check(configs=(config, config | {"dropout": 0.2}), files=(tokenizer, tokenizer))


def test_what_only_one_states_is_not_compared(check):
    check(configs=({"vocab_size": 37}, None), files=({"vocab.txt": "a"}, {}))


def test_other_tensors(models, refused):
    states = [models.state(seed) for seed in range(2)]
    states[1]["layer.bias"] = states[1].pop("layer.weight")
    message = refused(states=states)
    assert "no 'layer.weight' and 'layer.bias' in addition" in message


def test_many_missing_tensors_are_counted(models, refused):
    states = [models.state(0) | {f"x{n}": torch.ones(1) for n in range(5)}, models.state(1)]
    assert "no 'x0', 'x1', 'x2' and 2 more" in refused(states=states)


def test_another_shape(models, refused):
    states = [models.state(seed) for seed in range(2)]
    states[1]["layer.weight"] = torch.ones(3, 5)
    message = refused(states=states)
    assert "'layer.weight' of shape [3, 5]" in message
    assert "shape [5, 5]" in message


def test_another_type(models, refused):
    message = refused(states=[models.state(0), models.state(1, torch.bfloat16)])
    assert "save_pretrained" in message
    assert "torch.bfloat16" in message
    assert "torch.float32" in message


@pytest.mark.parametrize(
    ("ours", "theirs", "key"),
    [
        ({"architectures": ["A"]}, {"architectures": ["B"]}, "architectures"),
        ({"model_type": "bert"}, {"model_type": "roberta"}, "model_type"),
        ({"num_labels": 2}, {"num_labels": 3}, "num_labels"),
        ({"num_labels": 3}, {"id2label": {"0": "a", "1": "b"}}, "num_labels"),
        ({"id2label": {"0": "a", "1": "b"}}, {"id2label": {"0": "b", "1": "a"}}, "id2label"),
        ({"vocab_size": 37}, {"vocab_size": 38}, "vocab_size"),
        ({"num_attention_heads": 2}, {"num_attention_heads": 4}, "num_attention_heads"),
    ],
)
def test_another_setting(refused, ours, theirs, key):
    assert f"config.json in {key!r}" in refused(configs=(ours, theirs))


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_config_that_cannot_be_read(check, text):
    with pytest.raises(InputError, match=r"reference 1: .*config\.json"):
        check(files=({}, {"config.json": text}))


@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json"])
def test_another_tokenizer(refused, file):
    contents = [json.dumps({"model": {"vocab": {"a": n}}}) for n in range(2)]
    message = refused(files=({file: contents[0]}, {file: contents[1]}))
    assert f"another {file}" in message


@pytest.mark.parametrize(
    ("file", "ours", "theirs"),
    [
        ("vocab.txt", "a\nb\n", "b\na\n"),
        ("vocab.json", '{"a": 0}', '{"a": 1}'),
        ("merges.txt", "#version: 0.2\na b\n", "#version: 0.2\nb a\n"),
        ("spiece.model", "a", "b"),
        ("tokenizer.model", "a", "b"),
        ("sentencepiece.bpe.model", "a", "b"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"tokenizer.json": "{}"}])
def test_every_file_of_tokens_that_both_have_is_compared(refused, file, ours, theirs, beside):
    assert f"another {file}" in refused(files=(beside | {file: ours}, beside | {file: theirs}))


FAST = {"tokenizer.json": json.dumps({"model": {"vocab": {"a": 0, "b": 1}}})}


def test_the_same_tokens_may_stand_in_another_file(check):
    check(files=(FAST, {"vocab.txt": "a\nb\n"}))


def test_other_tokens_in_another_file(refused):
    message = refused(files=(FAST, {"vocab.txt": "b\na\n"}))
    assert "vocab.txt, with other tokens than tokenizer.json" in message


def test_tokenizers_that_share_no_file_and_cannot_be_compared_are_refused(refused):
    message = refused(files=(FAST, {"spiece.model": "a"}))
    assert "spiece.model, which cannot be compared with tokenizer.json" in message


def test_the_layout_of_a_file_is_no_other_tokenizer(check):
    tokenizer = Tokenizer(BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    new = json.loads(tokenizer.to_str())
    assert new["model"]["merges"] == [["a", "b"]]
    old = new | {"model": new["model"] | {"merges": ["a b"]}}  # as versions before 0.20 wrote it
    check(
        files=(
            {"tokenizer.json": json.dumps(new), "vocab.txt": "a\r\nb\r\n", "merges.txt": "a b\n"},
            {
                "tokenizer.json": json.dumps(old),
                "vocab.txt": "a\nb",
                "merges.txt": "#version: 0.2\na b\n",
            },
        )
    )


def test_truncation_of_the_last_call_is_no_other_tokenizer(check):
    tokenizer = {"model": {"vocab": {"a": 0}}, "truncation": None, "padding": None}
    used = tokenizer | {"truncation": {"max_length": 48}, "padding": {"length": 48}}
    check(files=tuple({"tokenizer.json": json.dumps(one)} for one in (tokenizer, used)))
