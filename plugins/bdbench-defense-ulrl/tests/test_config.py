from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import Access, Needs, Recipe
from bdbench_defense_ulrl.config import UlrlConfig
from bdbench_defense_ulrl.hooks import ULRL, bdbench_register_defenses


def test_declares_its_needs():
    assert bdbench_register_defenses() == [ULRL]
    assert ULRL.needs == Needs(access=Access.WEIGHTS, clean_rows=8)


def test_the_default_relearns_by_the_hosts_recipe():
    made = UlrlConfig()
    assert isinstance(made, Recipe)
    assert made.optimizer == "adamw"
    assert made.learning_rate == 7.5e-5


def test_sgd_is_as_published_where_nothing_else_is_said():
    made = UlrlConfig(optimizer="sgd")
    assert (made.learning_rate, made.epochs, made.batch_size) == (0.005, 20, 128)
    assert (made.weight_decay, made.warmup) == (0, 0)
    mine = UlrlConfig(optimizer="sgd", epochs=3, learning_rate=0.1)
    assert (mine.learning_rate, mine.epochs, mine.batch_size) == (0.1, 3, 128)


def test_what_does_not_concern_the_recipe_is_as_published():
    made = UlrlConfig()
    assert (made.unlearn_epochs, made.unlearn_learning_rate) == (20, 0.01)
    assert (made.unlearn_batch_size, made.alpha, made.outlier, made.limit) == (128, 0.7, 3.5, 2)


@pytest.mark.parametrize(
    ("settings", "classes", "accuracy"),
    [({}, 10, 0.2), ({}, 5, 0.2), ({}, 4, 0.25), ({}, 2, 0.5), ({"stop_accuracy": 0.2}, 2, 0.2)],
)
def test_unlearning_does_not_wait_for_less_than_chance(settings, classes, accuracy):
    assert UlrlConfig(**settings).stop_accuracy_for(classes) == accuracy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": "first"}, "'all' or 'last'"),
        ({"pick": "random"}, "'largest' or 'first'"),
        ({"median": "upper"}, "'middle' or 'lower'"),
        ({"stop_accuracy": 1.1}, "less than or equal to 1"),
        ({"stop_accuracy": "chance"}, "auto"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"alpha": -0.1}, "greater than or equal to 0"),
        ({"alpha": float("inf")}, "finite"),
        ({"optimizer": "sgd", "warmup": 0.1}, "'warmup' means nothing to optimizer 'sgd'"),
        ({"colour": 3}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValidationError, match=message):
        UlrlConfig(**settings)


def test_every_setting_is_described():
    assert all(field.description for field in UlrlConfig.model_fields.values())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_what_a_record_holds_can_be_read_again(optimizer):
    made = UlrlConfig(optimizer=optimizer)
    assert UlrlConfig(**made.model_dump()) == made


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, bdbench_defense_ulrl.hooks, bdbench_defense_ulrl.config\n"
        "print({'torch', 'numpy', 'transformers', 'datasets', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
