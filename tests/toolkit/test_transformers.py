from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel
from transformers.utils import logging

from bdbench.api import Checkpoint, Examples, InputError, SeedStream, Task
from bdbench.builtin.models_config import FolderModelConfig, TinyBertConfig
from bdbench.builtin.models_folder import FolderModel
from bdbench.builtin.models_tiny import TinyBert
from bdbench.toolkit.transformers import Tokens
from bdbench.toolkit.transformers_folder import quietly

SINGLE = Task("text-classification", ("text",), ("ham", "spam"))
PAIR = Task("text-pair-classification", ("question", "answer"), ("yes", "no", "maybe"))
TINY = TinyBertConfig(hidden_size=16, layers=1, heads=2, intermediate_size=32)
ROWS = Examples(
    {"text": ["cf", "a rather longer text, with a comma", "win a prize now"]}, [0, 0, 1], [0, 1, 2]
)


def pairs(**inputs):
    return Examples(inputs, [0] * 2, [0, 1])


def weights(folder):
    return load_file(folder / "model.safetensors")


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A classifier of three classes in a folder: what a user's own checkpoint looks like."""
    folder = tmp_path_factory.mktemp("source") / "model"
    TinyBert(TINY).prepare(PAIR, folder, SeedStream(7))
    return folder


@pytest.fixture
def copied(source, tmp_path):
    return shutil.copytree(source, tmp_path / "copied")


def family(folder, max_length=32):
    return FolderModel(FolderModelConfig(path=folder, max_length=max_length))


@pytest.fixture
def start(source, tmp_path):
    family(source).prepare(SINGLE, tmp_path / "start", SeedStream(0))
    return Checkpoint(tmp_path / "start")


def test_the_encoder_is_the_sources_and_the_head_is_fresh(source, start):
    old, new = weights(source), weights(start.folder)
    for name, tensor in old.items():
        if name.startswith("bert."):
            assert torch.equal(new[name], tensor), name
    assert new["classifier.weight"].shape == (2, 16)
    assert new["classifier.weight"].std() > 0.005
    assert not new["classifier.bias"].any()


def test_a_head_that_the_source_has_is_not_taken_over(source, tmp_path):
    family(source).prepare(PAIR, tmp_path / "same-shape", SeedStream(0))
    old, new = weights(source), weights(tmp_path / "same-shape")
    assert not torch.equal(new["classifier.weight"], old["classifier.weight"])


def test_the_head_comes_from_the_seed_alone(source, start, tmp_path):
    torch.manual_seed(123)
    family(source).prepare(SINGLE, tmp_path / "again", SeedStream(0))
    family(source).prepare(SINGLE, tmp_path / "other", SeedStream(1))
    assert digests(tmp_path / "again") == digests(start.folder)
    one, other = weights(start.folder), weights(tmp_path / "other")
    assert [name for name in one if not torch.equal(one[name], other[name])] == [
        "classifier.weight"
    ]


def test_the_global_generator_is_left_as_it_was(source, tmp_path):
    before = torch.get_rng_state()
    model = family(source)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    model.load(Checkpoint(tmp_path / "start"))
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_and_saving_gives_the_same_bytes(source, start, tmp_path):
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


def test_half_precision_sources_become_fp32(copied, tmp_path):
    half = {name: tensor.half() for name, tensor in weights(copied).items()}
    save_file(half, copied / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copied / "config.json").read_text()) | {"dtype": "float16"}
    (copied / "config.json").write_text(json.dumps(config))
    model = family(copied)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    module = model.load(Checkpoint(tmp_path / "start"))
    assert {tensor.dtype for tensor in module.parameters()} == {torch.float32}
    assert not module.training


def test_shards_are_read(copied, source, start, tmp_path):
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


def test_an_incomplete_encoder_is_refused(copied, tmp_path):
    tensors = weights(copied)
    del tensors["bert.encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 of 23 .*attention\.self\.query\.weight"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


def test_a_pooler_counts_only_where_the_classifier_uses_the_encoders(copied, tmp_path):
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


def test_weights_of_another_shape_are_refused(copied, tmp_path):
    config = json.loads((copied / "config.json").read_text()) | {"intermediate_size": 64}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="cannot be read"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(copied, tmp_path, name):
    (copied / name).unlink()
    with pytest.raises(InputError, match="no " + name.removesuffix(".json").split(".")[0]):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_an_input_error(start, name):
    path = start.folder / name
    path.write_bytes(path.read_bytes()[:100])
    model = family(start.folder)
    with pytest.raises(InputError, match="cannot be read"):
        model.prepare(SINGLE, start.folder.parent / "x", SeedStream(0))
    reads = model.encode if name == "tokenizer.json" else lambda _, place: model.load(place)
    with pytest.raises(InputError, match="cannot be read"):
        reads(ROWS, start)


def test_pickles_are_never_read(copied, tmp_path):
    torch.save(weights(copied), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors.*never read"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        family(copied).load(Checkpoint(copied))


def test_code_that_comes_with_a_model_is_never_run(copied, tmp_path):
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


def test_an_adapter_is_refused(copied, tmp_path):
    (copied / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="adapter"):
        family(copied).prepare(SINGLE, tmp_path / "start", SeedStream(0))


def test_an_encoder_without_a_head_cannot_be_a_victim(source, copied):
    headless = {n: t for n, t in weights(copied).items() if not n.startswith("classifier")}
    save_file(headless, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="2 tensors missing and 0 unknown"):
        family(source).load(Checkpoint(copied))


def test_weights_that_would_be_dropped_are_refused(source, copied):
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
def test_tasks_that_it_is_not_made_for_are_refused(source, tmp_path, task):
    with pytest.raises(InputError, match="cannot be trained for this task"):
        family(source).prepare(task, tmp_path / "start", SeedStream(0))


def test_one_text_is_encoded(source, start):
    items = family(source).encode(ROWS, start)
    tokenizer_ids = [len(item.input_ids) for item in items]
    assert tokenizer_ids == [family(source).size(item) for item in items]
    # [CLS] cf [SEP]: a word of two letters is one token.
    assert tokenizer_ids[0] == 3
    assert family(source).encode(ROWS.select([]), start) == []


def test_rows_are_cut_to_max_length_and_to_what_the_encoder_takes(source, start):
    long = Examples({"text": ["a " * 1000]}, [0], [0])
    assert [family(source, 8).size(item) for item in family(source, 8).encode(long, start)] == [8]
    assert [family(source).size(item) for item in family(source, 4096).encode(long, start)] == [512]


def test_the_limit_of_positions_is_kept_where_the_tokenizer_does_not_know_it(source, start):
    settings = json.loads((start.folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (start.folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model = family(source, 4096)
    long = Examples({"text": ["a " * 1000]}, [0], [0])
    batch = model.collate(model.encode(long, start))
    assert batch["input_ids"].shape == (1, 511)
    assert model.forward(model.load(start), batch).shape == (1, 2)


def test_pairs_are_read_in_the_order_of_the_task(source):
    model = family(source)
    checkpoint = Checkpoint(source)
    forth = model.encode(pairs(question=["aa", "bb"], answer=["cc", "dd"]), checkpoint)
    back = model.encode(pairs(answer=["cc", "dd"], question=["aa", "bb"]), checkpoint)
    other = model.encode(pairs(question=["cc", "dd"], answer=["aa", "bb"]), checkpoint)
    assert forth == back
    assert forth != other
    assert forth[0].token_type_ids == [0, 0, 0, 1, 1]


def test_a_foreign_checkpoint_reads_text_and_text_pair(source, copied):
    config = json.loads((copied / "config.json").read_text())
    del config["bdbench_fields"]
    (copied / "config.json").write_text(json.dumps(config))
    model, foreign = family(source), Checkpoint(copied)
    known = model.encode(pairs(question=["aa", "b"], answer=["c", "d"]), Checkpoint(source))
    assert model.encode(pairs(text_pair=["c", "d"], text=["aa", "b"]), foreign) == known
    assert model.encode(pairs(text=["aa", "b"]), foreign)[0].token_type_ids == [0, 0, 0]
    with pytest.raises(InputError, match="bdbench_fields"):
        model.encode(pairs(question=["aa", "b"], answer=["c", "d"]), foreign)


def test_rows_without_the_models_field_are_refused(source, start):
    with pytest.raises(InputError, match=r"Found image\. Expected text\."):
        family(source).encode(Examples({"image": [b""]}, [0], [0]), start)


def test_a_tokenizer_that_was_written_anew_is_read_anew(source, copied):
    model, checkpoint = family(source), Checkpoint(copied)
    rows = pairs(question=["aa", "b"], answer=["c", "d"])
    before = model.encode(rows, checkpoint)
    config = json.loads((copied / "config.json").read_text())
    config["bdbench_fields"] = ["answer", "question"]
    (copied / "config.json").write_text(json.dumps(config))
    os.utime(copied / "config.json", ns=(1, 1))
    assert model.encode(rows, checkpoint) != before


def test_batches_are_padded_to_their_longest_row(source):
    items = [Tokens([2, 9, 3], [0, 0, 0], 7), Tokens([2, 9, 9, 8, 3], [0, 0, 1, 1, 1], 7)]
    batch = {name: rows.tolist() for name, rows in family(source).collate(items).items()}
    assert batch == {
        "input_ids": [[2, 9, 3, 7, 7], [2, 9, 9, 8, 3]],
        "attention_mask": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]],
        "token_type_ids": [[0, 0, 0, 0, 0], [0, 0, 1, 1, 1]],
    }
    assert "token_type_ids" not in family(source).collate([Tokens([2, 3], None, 0)])


def test_padding_changes_no_output(source, start):
    model = family(source)
    module = model.load(start)
    items = model.encode(ROWS, start)
    with torch.inference_mode():
        together = model.forward(module, model.collate(items))
        alone = torch.cat([model.forward(module, model.collate([item])) for item in items])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-5)


def test_training_learns_and_leaves_the_checkpoint_alone(source, start, tmp_path):
    model = family(source)
    module = model.load(start)
    before = digests(start.folder)
    batch = model.collate(model.encode(ROWS, start))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = model.loss(model.forward(module, batch), ROWS.labels).mean()
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


def test_only_models_of_transformers_can_be_saved(source, start, tmp_path):
    with pytest.raises(TypeError, match="Linear"):
        family(source).save(torch.nn.Linear(1, 1), start, tmp_path / "x")


def test_everything_works_without_a_network(source, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    model = family(source)
    model.prepare(SINGLE, tmp_path / "start", SeedStream(0))
    start = Checkpoint(tmp_path / "start")
    module = model.load(start)
    model.encode(ROWS, start)
    (tmp_path / "saved").mkdir()
    model.save(module, start, tmp_path / "saved")


def test_transformers_keeps_quiet_and_its_settings_are_put_back(
    source, tmp_path, capfd, monkeypatch
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
