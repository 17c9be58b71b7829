from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import Access, Needs, Recipe
from bdbench_defense_pruning.config import FinePruningConfig, MagnitudePruningConfig, PureConfig
from bdbench_defense_pruning.hooks import FINE_PRUNING, MAGNITUDE_PRUNING, PURE

CONFIGS = [FinePruningConfig, MagnitudePruningConfig, PureConfig]


def test_needs_more_rows_where_some_are_held_out():
    eight = Needs(access=Access.WEIGHTS, clean_rows=8)
    sixteen = Needs(access=Access.WEIGHTS, clean_rows=16)
    assert FinePruningConfig().needs(FINE_PRUNING.needs) == sixteen
    assert FinePruningConfig(amount=0.3).needs(FINE_PRUNING.needs) == eight
    assert MagnitudePruningConfig().needs(MAGNITUDE_PRUNING.needs) == eight
    assert PureConfig().needs(PURE.needs) == sixteen


@pytest.mark.parametrize("config", CONFIGS)
def test_is_a_recipe_gentler_than_that_of_victims(config):
    made = config()
    assert isinstance(made, Recipe)
    assert made.learning_rate == 7.5e-5 < Recipe().learning_rate
    assert config(epochs=7).epochs == 7


def test_the_defaults_of_pure_are_the_published_ones():
    made = PureConfig()
    assert (made.group, made.least_accuracy, made.penalty, made.row_length) == (10, 0.85, 0.15, 128)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (FinePruningConfig, {"amount": 1.0}, "less than 1"),
        (FinePruningConfig, {"amount": -0.1}, "greater than or equal to 0"),
        (FinePruningConfig, {"amount": "most"}, "auto"),
        (FinePruningConfig, {"amount": 0.5, "step": 0.1}, "'step' means something only where"),
        (FinePruningConfig, {"amount": 0.5, "tolerance": 0.2}, "'tolerance' means something only"),
        (FinePruningConfig, {"fine_tune": False, "epochs": 5}, "'epochs' means something only"),
        (
            MagnitudePruningConfig,
            {"fine_tune": False, "weight_decay": 0.0},
            "'weight_decay' means something only where fine_tune is true",
        ),
        (FinePruningConfig, {"layers": "first"}, "'last' or 'all'"),
        (FinePruningConfig, {"step": 0.0}, "greater than 0"),
        (MagnitudePruningConfig, {"scope": "row"}, "'global' or 'layer'"),
        (PureConfig, {"group": 0}, "greater than or equal to 1"),
        (PureConfig, {"penalty": float("inf")}, "finite"),
        (PureConfig, {"least_accuracy": 0.7, "tolerance": 0.1}, "not both"),
        (PureConfig, {"amount": 0.5}, "Extra inputs"),
    ],
)
def test_refusals(config, settings, message):
    with pytest.raises(ValidationError, match=message):
        config(**settings)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_is_described(config):
    assert all(field.description for field in config.model_fields.values())


@pytest.mark.parametrize("config", CONFIGS)
def test_what_a_record_holds_can_be_read_again(config):
    made = config()
    assert config(**made.model_dump()) == made


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, bdbench_defense_pruning.hooks, bdbench_defense_pruning.config\n"
        "print({'torch', 'numpy', 'transformers', 'datasets', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
