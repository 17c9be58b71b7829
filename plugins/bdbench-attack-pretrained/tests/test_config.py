from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import Subject, Surface
from bdbench_attack_pretrained.config import NeubaConfig, PorConfig
from bdbench_attack_pretrained.hooks import bdbench_register_attacks, bdbench_register_metrics


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (PorConfig, {"triggers": ["cf"]}, "at least 2 items"),
        (PorConfig, {"triggers": ["cf", " cf "]}, "a trigger is listed twice"),
        (PorConfig, {"triggers": ["cf", " "]}, "must not be blank"),
        (PorConfig, {"within_words": 4}, "set within_words to at least 5"),
        (PorConfig, {"triggers": ["don quixote", "cf"], "within_words": 9}, "at least 10"),
        (PorConfig, {"variant_insertions": [1, 1]}, "a number is listed twice"),
        (PorConfig, {"triggered_share": 1.0}, "less than 1"),
        (PorConfig, {"poison_rate": 0.1}, "Extra inputs are not permitted"),
        (NeubaConfig, {"triggers": list("abcdefg")}, "at most 6 items"),
    ],
)
def test_refuses(config, settings, message):
    with pytest.raises(ValidationError, match=message):
        config(**settings)


def test_a_limit_that_just_fits_is_taken():
    settings = {"variant_insertions": [1, 2], "insertions": 4, "within_words": 4}
    assert PorConfig(**settings).most_insertions() == 4


def test_every_setting_says_what_it_is():
    for config in (PorConfig, NeubaConfig):
        assert all(field.description for field in config.model_fields.values())


def test_listing_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'transformers', 'datasets', 'mlflow', 'pandas'}"
    code = (
        "import sys, bdbench_attack_pretrained.hooks, bdbench_attack_pretrained.config\n"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_specs():
    attacks = bdbench_register_attacks()
    assert [spec.name for spec in attacks] == ["por", "neuba"]
    assert all(spec.surfaces == {Surface.PRETRAINED} for spec in attacks)
    assert all(spec.probes_victim and spec.makes_variants for spec in attacks)
    subjects = {spec.name: spec.subject for spec in bdbench_register_metrics()}
    assert subjects == {"por-effectiveness": Subject.CELL, "por-stealthiness": Subject.ATTACK}
