from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import Surface
from bdbench_attack_insertion.config import BadNetsConfig, InsertSentConfig
from bdbench_attack_insertion.hooks import bdbench_register_attacks


def test_listing_the_attacks_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'transformers', 'datasets', 'mlflow', 'pandas'}"
    code = (
        "import sys, bdbench_attack_insertion.hooks, bdbench_attack_insertion.config\n"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_both_attacks_poison_data_and_are_for_text():
    specs = bdbench_register_attacks()
    assert [spec.name for spec in specs] == ["badnets", "insertsent"]
    for spec in specs:
        assert spec.surfaces == {Surface.DATA}
        assert spec.works_for("text-classification")
        assert spec.works_for("text-pair-classification")
        assert not spec.works_for("image-classification")


@pytest.mark.parametrize("model", [BadNetsConfig, InsertSentConfig])
def test_every_setting_is_described(model):
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"triggers": []}, "at least 1 item"),
        ({"triggers": ["cf", " "]}, "must not be blank"),
        ({"triggers": ["cf mn"]}, "more than one word"),
        ({"triggers": [True]}, "valid string"),
        ({"insertions": 0}, "greater than or equal to 1"),
        ({"insertions": []}, "at least 1 item"),
        ({"insertions": [1, 0]}, "greater than or equal to 1"),
        ({"insertions": [1, 5], "within_words": 4}, "set within_words to at least 5"),
        ({"position": "middle"}, "'random', 'start' or 'end'"),
        ({"position": "boundary"}, "'random', 'start' or 'end'"),
        ({"words": ["cf"]}, "Extra inputs are not permitted"),
        ({"poison_rate": 0.0}, "greater than 0"),
    ],
)
def test_badnets_refuses(settings, message):
    with pytest.raises(ValidationError, match=message):
        BadNetsConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sentence": ""}, "must not be blank"),
        ({"sentence": " \n"}, "must not be blank"),
        ({"sentence": []}, "at least 1 item"),
        ({"sentence": ["no cross, no crown", ""]}, "must not be blank"),
        ({"within_words": 4}, "set within_words to at least 5"),
        ({"sentence": ["a b", "a b c"], "within_words": 2}, "set within_words to at least 3"),
    ],
)
def test_insertsent_refuses(settings, message):
    with pytest.raises(ValidationError, match=message):
        InsertSentConfig(**settings)


def test_the_smallest_limit_that_fits_is_taken():
    assert BadNetsConfig(insertions=[1, 5], within_words=5).longest_trigger() == 5
    assert InsertSentConfig(within_words=5).longest_trigger() == 5


def test_space_around_a_trigger_is_dropped():
    assert BadNetsConfig(triggers=[" cf\n"]).triggers == ["cf"]
    assert InsertSentConfig(sentence=" no cross, no crown ").sentences() == ["no cross, no crown"]
