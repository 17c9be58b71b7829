"""Models of the hub are in the cache before a component acts, which has no network."""

from __future__ import annotations

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from bdbench.api import ComponentConfig, InputError
from bdbench.toolkit import hub_models

NAME = f"hf:openai-community/gpt2@{'0123456789' * 4}"


class Hub:
    """What the cache and the server hold, and what was asked."""

    def __init__(self, cache=None, server=None):
        self.cache, self.server, self.asked = cache, server, []

    def download(self, name, *, revision, allow_patterns, local_files_only=False):
        self.asked.append((name, revision, local_files_only))
        assert {pattern.rpartition(".")[2] for pattern in allow_patterns} <= {
            "json",
            "txt",
            "safetensors",
            "model",
        }
        found = self.cache if local_files_only else self.server
        if found is None:
            raise LocalEntryNotFoundError("not there.\nMore about it.")
        return str(found)


@pytest.fixture
def hub(monkeypatch):
    def hub(**held):
        stand_in = Hub(**held)
        monkeypatch.setattr(hub_models, "snapshot_download", stand_in.download)
        monkeypatch.setattr(hub_models, "missing_files", lambda folder: not list(folder.iterdir()))
        return stand_in

    return hub


def test_what_the_cache_holds_is_not_fetched(hub, tmp_path):
    (tmp_path / "config.json").touch()
    stand_in = hub(cache=tmp_path)

    assert hub_models.hub_folder(NAME, where="onion") == tmp_path
    assert stand_in.asked == [("openai-community/gpt2", NAME.rpartition("@")[2], True)]


def test_what_the_cache_lacks_is_fetched(hub, tmp_path):
    stand_in = hub(cache=tmp_path, server=tmp_path / "fetched")

    assert hub_models.hub_folder(NAME, where="onion") == tmp_path / "fetched"
    assert [local for *_, local in stand_in.asked] == [True, False]


def test_a_folder_of_this_machine_is_itself(hub, tmp_path):
    stand_in = hub()

    assert hub_models.hub_folder(tmp_path / "gpt2", where="onion") == tmp_path / "gpt2"
    assert stand_in.asked == []


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        ({}, "copy the files to this machine and name their folder"),
        ({"otherwise": "install the package"}, "install the package"),
    ],
)
def test_without_the_hub_the_user_is_told(hub, ways, told):
    hub()

    with pytest.raises(InputError) as caught:
        hub_models.hub_folder(NAME, where="onion: language_model", **ways)
    assert str(caught.value) == (
        f"onion: language_model: {NAME}: a model cannot be fetched. "
        "Found LocalEntryNotFoundError: not there. "
        "Expected access to huggingface.co, or the files in its cache. "
        f"Next: check name, commit and connection, or {told}."
    )


def test_settings_say_which_models_they_name():
    class Inner(ComponentConfig):
        model: str

    class Config(ComponentConfig):
        inner: Inner
        other: str = "hf:no/commit@main"

    config = Config(inner=Inner(model=NAME))

    assert config.hub_models() == {"inner.model": NAME}
    assert config.paths() == {}
