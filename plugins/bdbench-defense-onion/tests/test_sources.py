from __future__ import annotations

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from bdbench.api import InputError
from bdbench_defense_onion import sources
from bdbench_defense_onion.config import OnionConfig
from bdbench_defense_onion.scoring import scorer_for

COMMIT = "0123456789" * 4
HUB = f"hf:openai-community/gpt2@{COMMIT}"


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the Hub: what it is asked, and what its cache and its server hold."""

    class Hub:
        cache = None
        server = None
        asked: list[dict[str, object]]

        def snapshot_download(self, name, *, local_files_only=False, **asked):
            self.asked.append({"name": name, **asked})
            found = self.cache if local_files_only else self.server
            if found is None:
                raise LocalEntryNotFoundError("not there.\nMore about it.")
            return str(found)

    stand_in = Hub()
    stand_in.asked = []
    monkeypatch.setattr(sources, "snapshot_download", stand_in.snapshot_download)
    return stand_in


def test_a_folder_is_itself(tmp_path, hub):
    assert sources.folder_of(tmp_path) == tmp_path
    assert not hub.asked


def test_the_cache_is_asked_first(folder, hub):
    hub.cache = folder
    assert sources.folder_of(HUB) == folder
    assert [(asked["name"], asked["revision"]) for asked in hub.asked] == [
        ("openai-community/gpt2", COMMIT)
    ]


def test_what_the_cache_lacks_is_fetched(folder, hub, tmp_path):
    hub.cache, hub.server = tmp_path, folder
    assert sources.folder_of(HUB) == folder


def test_only_weights_and_text_are_fetched(folder, hub):
    hub.server = folder
    sources.folder_of(HUB)
    for asked in hub.asked:
        endings = {pattern.rpartition(".")[2] for pattern in asked["allow_patterns"]}
        assert endings == {"json", "txt", "safetensors"}


def test_without_the_hub_the_user_is_told(hub):
    with pytest.raises(InputError, match=r"cannot be fetched.*Found \w+: not there\. Expected"):
        sources.folder_of(HUB)


def test_defenses_with_equal_settings_share_a_scorer(folder):
    one, other = (scorer_for(OnionConfig(language_model=folder)) for _ in range(2))
    assert one is other
    assert scorer_for(OnionConfig(language_model=folder, max_tokens=32)) is not one
    assert scorer_for(OnionConfig()) is scorer_for(OnionConfig(threshold=3.0))
