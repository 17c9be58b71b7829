from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from bdbench.api import Direction, Subject
from bdbench_metric_stealth.config import StealthConfig
from bdbench_metric_stealth.hooks import bdbench_register_metrics

HUB = f"hf:openai-community/gpt2@{'0123456789' * 4}"


def read(**settings):
    """As the host reads what a suite says."""
    return StealthConfig.model_validate_json(json.dumps(settings))


def test_listing_the_metric_imports_nothing_heavy():
    code = (
        "import sys, bdbench_metric_stealth.hooks, bdbench_metric_stealth.config\n"
        "print({'torch', 'numpy', 'transformers', 'wordfreq', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_it_measures_attacks_on_texts_and_takes_no_side():
    (spec,) = bdbench_register_metrics()
    assert spec.subject == Subject.ATTACK
    assert spec.works_for("text-classification")
    assert spec.works_for("text-pair-classification")
    assert not spec.works_for("image-classification")
    assert {value.direction for value in spec.values} == {Direction.NONE}


def test_models_are_words_folders_or_pinned_names_on_the_hub():
    words = read(language_model="unigram", encoder="none")
    assert (words.language_model, words.encoder) == ("unigram", "none")
    assert words.paths() == {}
    folders = read(language_model="models/gpt2", encoder="./encoder")
    assert folders.paths() == {"language_model": Path("models/gpt2"), "encoder": Path("encoder")}
    hub = read(language_model=HUB, encoder=HUB)
    assert hub.paths() == {}
    for config in (words, folders, hub, read()):
        assert read(**config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"language_model": "hf:openai-community/gpt2"}, "40 hexadecimal digits"),
        ({"encoder": "hf:openai-community/gpt2@main"}, "40 hexadecimal digits"),
        ({"language_model": "./unigram"}, "absolute path"),
        ({"encoder": "./minilm"}, "absolute path"),
        ({"max_rows": 0}, "greater than or equal to 1"),
        ({"max_tokens": 7}, "greater than or equal to 8"),
        ({"encoder": "none", "max_tokens": 64}, "'max_tokens' means nothing"),
        ({"precision": "bf16"}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValidationError, match=message):
        read(**settings)


def test_every_setting_is_described():
    assert all(field.description for field in StealthConfig.model_fields.values())
