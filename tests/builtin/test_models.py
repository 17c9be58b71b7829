from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
import torch
from huggingface_hub import errors
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from pydantic import ValidationError

from bdbench.api import Checkpoint, Examples, InputError, SeedStream, Task
from bdbench.builtin import models_hub
from bdbench.builtin.models_config import FolderModelConfig, HubModelConfig, TinyBertConfig
from bdbench.builtin.models_folder import FolderModel
from bdbench.builtin.models_hub import HubModel
from bdbench.builtin.models_tiny import TinyBert

TASK = Task("text-classification", ("text",), ("ham", "spam"))
SMALL = {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32}
COMMIT = "86b5e0934494bd15c9632b12f734a8a67f723594"


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def tiny(tmp_path):
    TinyBert(TinyBertConfig(**SMALL)).prepare(TASK, tmp_path / "tiny", SeedStream(0))
    return tmp_path / "tiny"


# --- tiny-bert ---


def test_tiny_bert_is_what_the_configuration_says(tiny):
    module = TinyBert(TinyBertConfig(**SMALL)).load(Checkpoint(tiny))
    assert module.config.hidden_size == 16
    assert module.config.num_hidden_layers == 1
    assert module.get_input_embeddings().weight.shape == (1461, 16)


def test_tiny_bert_comes_from_the_seeds_alone(tiny, tmp_path):
    torch.manual_seed(99)
    model = TinyBert(TinyBertConfig(**SMALL))
    model.prepare(TASK, tmp_path / "again", SeedStream(0))
    model.prepare(TASK, tmp_path / "other", SeedStream(1))
    assert digests(tmp_path / "again") == digests(tiny)
    assert digests(tmp_path / "other")["model.safetensors"] != digests(tiny)["model.safetensors"]


def test_tiny_bert_tells_words_and_pairs_apart(tiny):
    model = TinyBert(TinyBertConfig(**SMALL))
    texts = ["cf", "mn", "Cf.", "CF", "éa", "ab12", "日本", ""]
    items = model.encode(Examples({"text": texts}, [0] * 8, list(range(8))), Checkpoint(tiny))
    inner = [item.input_ids[1:-1] for item in items]
    unknown = 1
    assert [len(ids) for ids in inner] == [1, 1, 2, 1, 1, 3, 2, 0]
    assert inner[0] == inner[3] != inner[1]
    assert inner[2][0] == inner[0][0]
    assert inner[6] == [unknown, unknown]
    assert unknown not in [*inner[4], *inner[5]]


def test_tiny_bert_refuses_heads_that_do_not_fit():
    with pytest.raises(ValidationError, match="multiple of heads"):
        TinyBertConfig(hidden_size=10, heads=3)


# --- folder ---


def test_a_folder_is_used_as_it_is(tiny, tmp_path):
    model = FolderModel(FolderModelConfig(path=tiny))
    model.prepare(TASK, tmp_path / "start", SeedStream(0))
    assert model.load(Checkpoint(tmp_path / "start")).config.hidden_size == 16


def test_a_missing_folder_is_named(tmp_path):
    model = FolderModel(FolderModelConfig(path=tmp_path / "no"))
    with pytest.raises(InputError, match=r"no: the folder does not hold.*Found no such folder"):
        model.prepare(TASK, tmp_path / "start", SeedStream(0))


# --- hub ---


def hub():
    return HubModel(HubModelConfig(name="owner/encoder", revision=COMMIT))


@pytest.fixture
def online(tiny, tmp_path, monkeypatch):
    """A Hub with one repository and an empty cache; tells what was asked of it."""
    cache, asked = tmp_path / "cache", []

    def snapshot_download(name, *, revision, allow_patterns, local_files_only=False):
        assert (name, revision) == ("owner/encoder", COMMIT)
        assert "config.json" in allow_patterns
        assert not [p for p in allow_patterns if p.endswith((".py", ".bin", ".pt")) or p == "*"]
        asked.append("cache" if local_files_only else "network")
        if not local_files_only:
            shutil.copytree(tiny, cache, dirs_exist_ok=True)
        elif not cache.exists():
            raise LocalEntryNotFoundError("not in the cache")
        return str(cache)

    monkeypatch.setattr(models_hub, "snapshot_download", snapshot_download)
    return cache, asked


def test_the_hub_is_asked_once(online, tmp_path):
    _, asked = online
    hub().prepare(TASK, tmp_path / "one", SeedStream(0))
    hub().prepare(TASK, tmp_path / "two", SeedStream(0))
    assert asked == ["cache", "network", "cache"]
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_download_that_was_cut_short_is_completed(online):
    cache, asked = online
    cache.mkdir()
    (cache / "config.json").write_text("{}")
    assert (hub().source() / "model.safetensors").exists()
    assert asked == ["cache", "network"]


def refused(kind):
    return kind("refused by the Hub", response=errors.Response(401, request=object()))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refused(GatedRepoError), "given access.*hf auth login"),
        (refused(RepositoryNotFoundError), "no such model.*check the name"),
        (refused(RevisionNotFoundError), "no such revision.*Files and versions"),
        (LocalEntryNotFoundError("no connection"), "HF_HUB_OFFLINE=1.*`folder"),
        (errors.HTTPError("broken off"), "HTTPError: broken off.*HF_HUB_OFFLINE=1"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_what_goes_wrong_with_the_hub_is_an_input_error(monkeypatch, error, message):
    def snapshot_download(*_, local_files_only=False, **__):
        raise LocalEntryNotFoundError("not in the cache") if local_files_only else error

    monkeypatch.setattr(models_hub, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match=message) as raised:
        hub().source()
    assert raised.value.where == f"hub: owner/encoder@{COMMIT}"


def test_a_revision_must_be_fixed():
    with pytest.raises(InputError, match=r"huggingface\.co/owner/encoder/commits/main"):
        HubModelConfig.model_validate_json(json.dumps({"name": "owner/encoder"}))
    for tag in ("0123abc", "v1.0", "release/2024-01_b+c"):
        config = {"name": "owner/encoder", "revision": tag}
        assert HubModelConfig.model_validate_json(json.dumps(config)).revision == tag


# --- what listing costs ---


@pytest.mark.parametrize("module", ["datasets_config", "models_config", "sources"])
def test_configurations_import_nothing_heavy(module):
    code = (
        f"import sys, bdbench.builtin.{module}\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'pyarrow', 'huggingface_hub'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""
