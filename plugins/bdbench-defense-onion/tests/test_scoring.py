from __future__ import annotations

import pytest

from bdbench.api import InputError
from bdbench.toolkit import hub_models
from bdbench_defense_onion.config import OnionConfig
from bdbench_defense_onion.scoring import scorer_for

HUB = f"hf:openai-community/gpt2@{'0123456789' * 4}"


def test_a_model_of_the_hub_is_the_one_in_its_cache(folder, monkeypatch):
    asked = []

    def snapshot_download(name, *, revision, **_):
        asked.append((name, revision))
        return str(folder)

    monkeypatch.setattr(hub_models, "snapshot_download", snapshot_download)

    assert scorer_for(OnionConfig(language_model=HUB)) is scorer_for(
        OnionConfig(language_model=folder)
    )
    assert asked == [("openai-community/gpt2", HUB.rpartition("@")[2])]


def test_a_model_that_cannot_be_fetched_is_named_with_its_setting(monkeypatch):
    def snapshot_download(*_, **__):
        raise hub_models.LocalEntryNotFoundError("not there.")

    monkeypatch.setattr(hub_models, "snapshot_download", snapshot_download)

    with pytest.raises(InputError, match=r"^onion: language_model: hf:openai.* cannot be fetched"):
        scorer_for(OnionConfig(language_model=HUB))


def test_defenses_with_equal_settings_share_a_scorer(folder):
    one, other = (scorer_for(OnionConfig(language_model=folder)) for _ in range(2))
    assert one is other
    assert scorer_for(OnionConfig(language_model=folder, max_tokens=32)) is not one
    assert scorer_for(OnionConfig()) is scorer_for(OnionConfig(threshold=3.0))
