from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import Access, Needs
from bdbench_defense_merge.config import MergeConfig
from bdbench_defense_merge.hooks import MERGE, bdbench_register_defenses


def test_declares_its_needs():
    assert bdbench_register_defenses() == [MERGE]
    assert MERGE.needs == Needs(access=Access.WEIGHTS, references=1)
    assert MergeConfig().needs(MERGE.needs) == MERGE.needs


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"references": 3}, {"references": 3}),
        ({"method": "weighted-mean", "weights": [1, 1, 0.5]}, {"references": 2}),
        ({"method": "slerp"}, {}),
        ({"method": "task-arithmetic"}, {"base_weights": True}),
        ({"method": "ties", "references": 2}, {"references": 2, "base_weights": True}),
        ({"method": "dare"}, {"base_weights": True}),
        ({"method": "fisher"}, {"clean_rows": 8}),
        ({"method": "fisher", "weights": [1, 2, 1]}, {"references": 2, "clean_rows": 8}),
        ({"method": "regmean", "references": 2}, {"references": 2, "clean_rows": 8}),
        ({"lora": "products"}, {}),
    ],
)
def test_needs_follow_the_settings(settings, expected):
    needs = MergeConfig(**settings).needs(MERGE.needs)
    assert needs == Needs(**{"access": Access.WEIGHTS, "references": 1, **expected})


@pytest.mark.parametrize(
    ("settings", "filled"),
    [
        ({"method": "mean"}, {}),
        ({"method": "slerp"}, {"fraction": 0.5}),
        ({"method": "task-arithmetic"}, {"scale": 0.3}),
        ({"method": "ties"}, {"keep": 0.7, "scale": 1.0}),
        ({"method": "ties", "keep": 0.2}, {"keep": 0.2, "scale": 1.0}),
        ({"method": "dare"}, {"drop": 0.9, "scale": 1.0}),
        ({"method": "weighted-mean", "weights": [1, 2]}, {"weights": [1, 2]}),
        ({"method": "fisher"}, {"weights": None, "normalise": True, "floor": 1e-6}),
        ({"method": "regmean"}, {"alpha": 0.9}),
    ],
)
def test_defaults_are_the_method_s_and_stand_in_the_record(settings, filled):
    config = MergeConfig(**settings)
    assert config.settings() == filled
    dumped = {key: value for key, value in config.model_dump().items() if value is not None}
    stated = {key: value for key, value in filled.items() if value is not None}
    assert dumped == {"method": settings["method"], "lora": "factors", **stated}
    assert MergeConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"weights": [1, 1]},
            "'weights' means nothing to method 'mean', only to weighted-mean, fisher",
        ),
        ({"scale": 1.0}, "only to task-arithmetic, ties, dare"),
        ({"method": "ties", "drop": 0.5}, "'drop' means nothing to method 'ties'"),
        ({"method": "dare", "keep": 0.5}, "'keep' means nothing"),
        ({"method": "slerp", "weights": [1, 1]}, "'weights' means nothing"),
        ({"method": "mean", "fraction": 0.5}, "'fraction' means nothing"),
        ({"method": "regmean", "weights": [1, 1]}, "'weights' means nothing"),
        ({"alpha": 0.5}, "only to regmean"),
        ({"method": "ties", "floor": 0.5}, "only to fisher"),
        ({"method": "mean", "normalise": True}, "only to fisher"),
        ({"method": "regmean", "alpha": 1.0}, "less than or equal to 0.999"),
        ({"method": "regmean", "alpha": -0.1}, "greater than or equal to 0"),
        ({"method": "fisher", "floor": 0.0}, "greater than 0"),
        ({"method": "fisher", "weights": [0, 0]}, "not all zero"),
        ({"method": "fisher", "weights": [1, 1], "references": 2}, "1 reference"),
        ({"method": "slerp", "lora": "products"}, "goes with mean and weighted-mean, not with 'sl"),
        ({"method": "regmean", "lora": "products"}, "goes with mean and weighted-mean"),
        ({"lora": "sum"}, "'factors' or 'products'"),
        ({"method": "weighted-mean"}, "needs 'weights'"),
        ({"method": "weighted-mean", "weights": [1]}, "at least two"),
        ({"method": "weighted-mean", "weights": [0, 0]}, "not all zero"),
        ({"method": "weighted-mean", "weights": [1, -1]}, "greater than or equal to 0"),
        ({"method": "weighted-mean", "weights": [1, float("nan")]}, "finite"),
        ({"method": "weighted-mean", "weights": [1, 1], "references": 2}, "1 reference"),
        ({"method": "slerp", "references": 2}, "1 reference"),
        ({"method": "slerp", "fraction": 1.5}, "less than or equal to 1"),
        ({"method": "ties", "keep": 0.0}, "greater than 0"),
        ({"method": "dare", "drop": 1.0}, "less than 1"),
        ({"method": "dare", "scale": float("inf")}, "finite"),
        ({"references": 0}, "greater than or equal to 1"),
        ({"references": True}, "valid integer"),
        ({"method": "median"}, "'mean', 'weighted-mean'"),
        ({"method": 3}, "'mean', 'weighted-mean'"),
        ({"colour": 3}, "Extra inputs are not permitted"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValidationError, match=message):
        MergeConfig(**settings)


def test_every_setting_is_described():
    assert all(field.description for field in MergeConfig.model_fields.values())


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, bdbench_defense_merge.hooks, bdbench_defense_merge.config\n"
        "print({'torch', 'numpy', 'transformers', 'datasets', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
