from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from bdbench.api import DefenseStage, Needs
from bdbench_defense_onion.config import OnionConfig, OnionFilterConfig
from bdbench_defense_onion.hooks import ONION, ONION_FILTER, bdbench_register_defenses

HUB = f"hf:openai-community/gpt2@{'0123456789' * 4}"


def read(cls=OnionConfig, **settings):
    """As the host reads what a suite says."""
    return cls.model_validate_json(json.dumps(settings))


def test_declares_its_stages_and_needs():
    assert bdbench_register_defenses() == [ONION, ONION_FILTER]
    assert ONION.stages == {DefenseStage.SCREEN}
    assert ONION_FILTER.stages == {DefenseStage.FILTER}
    assert OnionConfig().needs(ONION.needs) == ONION.needs == Needs(clean_rows=13)
    needs = OnionFilterConfig().needs(ONION_FILTER.needs)
    assert needs == ONION_FILTER.needs == Needs(clean_rows=13, training_data=True)


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({"threshold": 10}, Needs()),
        ({"language_model": "gpt2"}, Needs(clean_rows=13, external_model=True)),
        ({"quantile": 0.9}, Needs(clean_rows=2)),
        ({"quantile": 0.5}, Needs(clean_rows=1)),
        ({"quantile": 0.998}, Needs(clean_rows=63)),
        ({"language_model": HUB, "threshold": -2.5}, Needs(external_model=True)),
    ],
)
def test_needs_follow_the_settings(settings, needs):
    assert read(**settings).needs(ONION.needs) == needs


def test_a_language_model_is_a_folder_or_a_pinned_name_on_the_hub():
    folder, hub = read(language_model="models/gpt2"), read(language_model=HUB)
    assert folder.paths() == {"language_model": Path("models/gpt2")}
    assert hub.paths() == {}
    assert hub.language_model == HUB
    for config in (folder, hub, read()):
        assert read(**config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"language_model": "hf:openai-community/gpt2"}, "40 hexadecimal digits"),
        ({"language_model": "hf:openai-community/gpt2@main"}, "40 hexadecimal digits"),
        ({"language_model": "hf:gpt2@" + "a" * 40}, "hf:owner/name@"),
        ({"precision": "bf16"}, "'precision' means nothing without `language_model`"),
        ({"max_tokens": 64}, "'max_tokens' means nothing without `language_model`"),
        ({"threshold": 3.0, "quantile": 0.9}, "'quantile' means nothing without `threshold: auto`"),
        ({"threshold": "low"}, "'auto'"),
        ({"threshold": True}, "valid number"),
        ({"quantile": 1.0}, "less than 1"),
        ({"quantile": 0.0}, "greater than 0"),
        ({"fields": []}, "at least 1 item"),
        ({"language_model": "x", "precision": "fp16"}, "'fp32' or 'bf16'"),
        ({"language_model": "x", "max_tokens": 7}, "greater than or equal to 8"),
        ({"action": "drop"}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValidationError, match=message):
        read(**settings)


@pytest.mark.parametrize("threshold", [float("inf"), float("nan")])
def test_a_threshold_is_finite(threshold):
    with pytest.raises(ValidationError, match="finite"):
        OnionConfig(threshold=threshold)


def test_actions_of_the_filter():
    assert read(OnionFilterConfig).action == "rewrite"
    with pytest.raises(ValidationError, match="'rewrite' or 'drop'"):
        read(OnionFilterConfig, action="keep")


def test_every_setting_is_described():
    assert all(field.description for field in OnionFilterConfig.model_fields.values())


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, bdbench_defense_onion.hooks, bdbench_defense_onion.config\n"
        "print({'torch', 'numpy', 'transformers', 'wordfreq', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
