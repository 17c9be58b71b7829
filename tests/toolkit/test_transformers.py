"""A model in a folder becomes a victim's start, is trained and saved; what is unsafe is refused."""

from __future__ import annotations

import hashlib
import json
import os
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel
from transformers.utils import logging

from bdbench.api import Checkpoint, Examples, InputError, NonFiniteError, SeedStream, Task
from bdbench.toolkit.transformers_folder import quietly
from bdbench.toolkit.weights import check_mergeable

SINGLE = Task("text-classification", ("text",), ("ham", "spam"))

PAIR = Task("text-pair-classification", ("question", "answer"), ("yes", "no", "maybe"))


def weights(folder):
    return load_file(folder / "model.safetensors")


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_encoder_is_the_sources_and_the_head_is_fresh(source, start):
    old, new = weights(source), weights(start.folder)
    for name, tensor in old.items():
        if name.startswith("bert."):
            assert torch.equal(new[name], tensor), name
    assert new["classifier.weight"].shape == (2, 16)
    assert new["classifier.weight"].std() > 0.005
    assert not new["classifier.bias"].any()


def test_a_head_that_the_source_has_is_not_taken_over(family, source, tmp_path):
    family(source).prepare(PAIR, tmp_path / "same-shape", SeedStream(0))
    old, new = weights(source), weights(tmp_path / "same-shape")
    assert not torch.equal(new["classifier.weight"], old["classifier.weight"])


def test_the_head_comes_from_the_seed_alone(family, source, start, tmp_path):
    torch.manual_seed(123)
    family(source).prepare(SINGLE, tmp_path / "again", SeedStream(0))
    family(source).prepare(SINGLE, tmp_path / "other", SeedStream(1))
    assert digests(tmp_path / "again") == digests(start.folder)
    one, other = weights(start.folder), weights(tmp_path / "other")
    assert [name for name in one if not torch.equal(one[name], other[name])] == [
        "classifier.weight"
    ]


def test_the_global_generator_is_left_as_it_was(family, source, tmp_path):
    before = torch.get_rng_state()
    model = family(source)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    model.load(Checkpoint(tmp_path / "start"))
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_and_saving_gives_the_same_bytes(family, source, start, tmp_path):
    model = family(source)
    (tmp_path / "saved").mkdir()
    model.save(model.load(start), start, tmp_path / "saved")
    assert digests(tmp_path / "saved") == digests(start.folder)


def test_no_file_tells_where_it_was_made(start, tmp_path):
    for path in start.folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name
        assert b"source" not in path.read_bytes(), path.name
    config = json.loads((start.folder / "config.json").read_text())
    assert config["id2label"] == {"0": "ham", "1": "spam"}
    assert config["bdbench_fields"] == ["text"]


def test_half_precision_sources_become_fp32(family, copied, tmp_path):
    half = {name: tensor.half() for name, tensor in weights(copied).items()}
    save_file(half, copied / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copied / "config.json").read_text()) | {"dtype": "float16"}
    (copied / "config.json").write_text(json.dumps(config))
    model = family(copied)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    module = model.load(Checkpoint(tmp_path / "start"))
    assert {tensor.dtype for tensor in module.parameters()} == {torch.float32}
    assert not module.training


@pytest.mark.parametrize("said", [{"dtype": "bfloat16"}, {"torch_dtype": "bfloat16"}, {}])
def test_what_is_made_of_a_model_in_half_precision_is_in_half_precision(
    family, copied, tmp_path, said
):
    wide = weights(copied)
    half = {name: tensor.bfloat16() for name, tensor in wide.items()}
    save_file(half, copied / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copied / "config.json").read_text())
    del config["dtype"]
    (copied / "config.json").write_text(json.dumps(config | said))
    model, like = family(copied), Checkpoint(copied)
    module = model.load(like)
    with torch.no_grad():
        module.classifier.weight += 1
    (tmp_path / "saved").mkdir()
    model.save(module, like, tmp_path / "saved")
    saved = weights(tmp_path / "saved")
    assert saved.keys() == half.keys()
    assert torch.equal(saved.pop("classifier.weight"), module.classifier.weight.bfloat16())
    assert all(torch.equal(tensor, half[name]) for name, tensor in saved.items())
    sizes = [
        (folder / "model.safetensors").stat().st_size for folder in (copied, tmp_path / "saved")
    ]
    assert sizes[0] == sizes[1]
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "bfloat16"
    check_mergeable([like, Checkpoint(tmp_path / "saved")], ["victim", "repaired"])


def test_types_are_kept_tensor_by_tensor(family, copied, tmp_path):
    mixed = weights(copied)
    mixed["classifier.weight"] = mixed["classifier.weight"].half()
    save_file(mixed, copied / "model.safetensors", metadata={"format": "pt"})
    model, like = family(copied), Checkpoint(copied)
    module = model.load(like)
    (tmp_path / "saved").mkdir()
    model.save(module, like, tmp_path / "saved")
    check_mergeable([like, Checkpoint(tmp_path / "saved")], ["victim", "repaired"])
    with torch.no_grad():
        module.classifier.weight[0, 0] = 1e6
    with pytest.raises(NonFiniteError, match=r"the result: .*classifier\.weight"):
        model.save(module, like, tmp_path / "saved")


def test_shards_are_read(family, copied, source, start, tmp_path):
    tensors = weights(copied)
    (copied / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, part in shards.items():
        save_file({n: tensors[n] for n in part}, copied / shard, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {n: s for s, part in shards.items() for n in part}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    family(copied).prepare(SINGLE, tmp_path / "sharded", SeedStream(0))
    assert digests(tmp_path / "sharded") == digests(start.folder)
    (copied / "b.safetensors").unlink()
    with pytest.raises(InputError, match=r"no b\.safetensors"):
        family(copied).prepare(SINGLE, tmp_path / "broken", SeedStream(0))


def test_an_incomplete_encoder_is_refused(family, copied, tmp_path):
    tensors = weights(copied)
    del tensors["bert.encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 of 23 .*attention\.self\.query\.weight"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


def test_a_pooler_counts_only_where_the_classifier_uses_the_encoders(family, copied, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (copied / name).unlink()
    size = {
        "vocab_size": 1461,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    # RoBERTa's classifier has a pooling of its own: published encoders come without one.
    RobertaModel(RobertaConfig(**size, pad_token_id=0), add_pooling_layer=False).save_pretrained(
        copied
    )
    family(copied).prepare(SINGLE, tmp_path / "roberta", SeedStream(0))
    assert family(copied).load(Checkpoint(tmp_path / "roberta")).config.model_type == "roberta"
    BertModel(BertConfig(**size), add_pooling_layer=False).save_pretrained(copied)
    with pytest.raises(InputError, match=r"pooler\.dense\.bias"):
        family(copied).prepare(SINGLE, tmp_path / "bert", SeedStream(0))


def test_weights_of_another_shape_are_refused(family, copied, tmp_path):
    config = json.loads((copied / "config.json").read_text()) | {"intermediate_size": 64}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="cannot be read"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(family, copied, tmp_path, name):
    (copied / name).unlink()
    with pytest.raises(InputError, match="no " + name.removesuffix(".json").split(".")[0]):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_an_input_error(rows, family, start, name):
    path = start.folder / name
    path.write_bytes(path.read_bytes()[:100])
    model = family(start.folder)
    with pytest.raises(InputError, match="cannot be read"):
        model.prepare(SINGLE, start.folder.parent / "x", SeedStream(0))
    reads = model.encode if name == "tokenizer.json" else lambda _, place: model.load(place)
    with pytest.raises(InputError, match="cannot be read"):
        reads(rows, start)


def test_pickles_are_never_read(family, copied, tmp_path):
    torch.save(weights(copied), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors.*never read"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        family(copied).load(Checkpoint(copied))


def test_code_that_comes_with_a_model_is_never_run(family, copied, tmp_path):
    (copied / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config = json.loads((copied / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {
            "AutoConfig": "evil.C",
            "AutoModel": "evil.M",
            "AutoModelForSequenceClassification": "evil.M",
        },
    }
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="cannot be read"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))
    with pytest.raises(InputError, match="cannot be read"):
        family(copied).load(Checkpoint(copied))
    assert not (tmp_path / "ran").exists()


def test_an_adapter_is_refused(family, copied, tmp_path):
    (copied / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="adapter"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


def test_an_encoder_without_a_head_cannot_be_a_victim(family, source, copied):
    headless = {n: t for n, t in weights(copied).items() if not n.startswith("classifier")}
    save_file(headless, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="2 tensors missing and 0 unknown"):
        family(source).load(Checkpoint(copied))


def test_weights_that_would_be_dropped_are_refused(family, source, copied):
    more = weights(copied) | {"bert.backdoor.weight": torch.zeros(2)}
    save_file(more, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"0 tensors missing and 1 unknown.*bert\.backdoor"):
        family(source).load(Checkpoint(copied))


@pytest.mark.parametrize(
    "task",
    [
        Task("text-generation", ("text",)),
        Task("triples", ("a", "b", "c"), ("x", "y")),
        Task("text-classification", ("text",), ("x",)),
    ],
)
def test_tasks_that_it_is_not_made_for_are_refused(family, source, tmp_path, task):
    with pytest.raises(InputError, match="cannot be trained for this task"):
        family(source).prepare(task, tmp_path / "start", SeedStream(0))


def test_padding_changes_no_output(rows, family, source, start):
    model = family(source)
    module = model.load(start)
    items = model.encode(rows, start)
    with torch.inference_mode():
        together = model.forward(module, model.collate(items))
        alone = torch.cat([model.forward(module, model.collate([item])) for item in items])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-5)


def test_training_learns_and_leaves_the_checkpoint_alone(rows, family, source, start, tmp_path):
    model = family(source)
    module = model.load(start)
    before = digests(start.folder)
    batch = model.collate(model.encode(rows, start))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = model.loss(model.forward(module, batch), rows.labels).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert digests(start.folder) == before
    (tmp_path / "trained").mkdir()
    model.save(module, start, tmp_path / "trained")
    trained = model.load(Checkpoint(tmp_path / "trained")).state_dict()
    assert all(torch.equal(trained[name], value) for name, value in module.state_dict().items())
    after = digests(tmp_path / "trained")
    assert [name for name in before if after[name] != before[name]] == ["model.safetensors"]


def test_only_models_of_transformers_can_be_saved(family, source, start, tmp_path):
    with pytest.raises(TypeError, match="Linear"):
        family(source).save(torch.nn.Linear(1, 1), start, tmp_path / "x")


def test_everything_works_without_a_network(rows, family, source, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    model = family(source)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    start = Checkpoint(tmp_path / "start")
    module = model.load(start)
    model.encode(rows, start)
    (tmp_path / "saved").mkdir()
    model.save(module, start, tmp_path / "saved")


def test_transformers_keeps_quiet_and_its_settings_are_put_back(
    family, source, tmp_path, capfd, monkeypatch
):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    model = family(source)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    start = Checkpoint(tmp_path / "start")
    (tmp_path / "saved").mkdir()
    model.save(model.load(start), start, tmp_path / "saved")
    model.encode(Examples({"text": ["a " * 2000]}, [0], [0]), start)
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == logging.WARNING
    assert logging.is_progress_bar_enabled()
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    with quietly():
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
