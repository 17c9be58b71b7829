from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import Access, DefenseStage, Needs, Recipe
from bdbench_defense_finemixing.config import (
    EPurConfig,
    FineMixingConfig,
    FinePurifyingConfig,
    FineTuningConfig,
)
from bdbench_defense_finemixing.hooks import bdbench_register_defenses

SPECS = {spec.name: spec for spec in bdbench_register_defenses()}
CONFIGS = {
    "fine-mixing": FineMixingConfig,
    "fine-purifying": FinePurifyingConfig,
    "fine-tuning": FineTuningConfig,
    "e-pur": EPurConfig,
}


@pytest.mark.parametrize(
    ("name", "settings", "needs"),
    [
        ("fine-mixing", {"rho": 0.3}, {"clean_rows": 8, "base_weights": True}),
        ("fine-mixing", {}, {"clean_rows": 32, "base_weights": True}),
        ("fine-purifying", {"rho": 1}, {"clean_rows": 8, "base_weights": True}),
        ("fine-purifying", {"rho": "auto"}, {"clean_rows": 32, "base_weights": True}),
        ("fine-tuning", {}, {"clean_rows": 8}),
        ("e-pur", {}, {"base_weights": True}),
    ],
)
def test_needs(name, settings, needs):
    config = CONFIGS[name](**settings)
    assert config.needs(SPECS[name].needs) == Needs(access=Access.WEIGHTS, **needs)


def test_every_defense_repairs_and_cites():
    assert set(SPECS) == set(CONFIGS)
    for spec in SPECS.values():
        assert spec.stages == {DefenseStage.REPAIR}
        assert "arXiv:" in spec.citation
    assert SPECS["fine-mixing"].works_for("image-classification")
    assert not SPECS["e-pur"].works_for("image-classification")
    assert SPECS["e-pur"].works_for("text-pair-classification")


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (FineMixingConfig, {"rho": 1.5}, "less than or equal to 1"),
        (FineMixingConfig, {"rho": -0.1}, "greater than or equal to 0"),
        (FineMixingConfig, {"rho": "best"}, "'auto'"),
        (FineMixingConfig, {"rho": float("nan")}, "rho"),
        (FineMixingConfig, {"rho": 0.3, "grid": [0.5]}, "'grid' means something only where rho"),
        (FineMixingConfig, {"rho": 0.3, "tolerance": 0.1}, "'tolerance' means something only"),
        (FineMixingConfig, {"grid": [0.5, 0.3]}, "the grid must ascend"),
        (FineMixingConfig, {"grid": [0.3, 0.3]}, "the grid must ascend"),
        (FineMixingConfig, {"grid": []}, "at least 1 item"),
        (FineMixingConfig, {"validation_share": 0.0}, "greater than or equal to 0.1"),
        (FineMixingConfig, {"select": "largest"}, "'random', 'magnitude' or 'most-changed'"),
        (FineMixingConfig, {"keep": [""]}, "at least 1 character"),
        (FineMixingConfig, {"damping": 1.0}, "Extra inputs are not permitted"),
        (FinePurifyingConfig, {"damping": 0.0}, "greater than 0"),
        (FineTuningConfig, {"learning_rate": 0.0}, "greater than 0"),
        (FineTuningConfig, {"learning_rate": float("inf")}, "finite"),
        (FineTuningConfig, {"epochs": 0}, "greater than or equal to 1"),
        (FineTuningConfig, {"rho": 0.3}, "Extra inputs are not permitted"),
        (EPurConfig, {"count": 0}, "greater than or equal to 1"),
        (EPurConfig, {"least_count": 1}, "greater than or equal to 2"),
    ],
)
def test_refusals(config, settings, message):
    with pytest.raises(ValidationError, match=message):
        config(**settings)


@pytest.mark.parametrize("settings", [{}, {"rho": 0.3}, {"grid": [0, 0.5], "tolerance": 0.1}])
def test_what_stands_in_a_record_gives_the_same_settings(settings):
    config = FineMixingConfig(**settings)
    assert FineMixingConfig.model_validate(json.loads(config.model_dump_json())) == config


def test_the_recipe_is_the_host_s_but_for_what_can_be_set():
    config = FineTuningConfig(epochs=3, batch_size=4, learning_rate=1e-3)
    assert config.recipe() == Recipe(epochs=3, batch_size=4, learning_rate=1e-3)
    assert FineTuningConfig().recipe().learning_rate == 7.5e-5


def test_every_setting_is_described():
    for config in CONFIGS.values():
        assert all(field.description for field in config.model_fields.values())


def test_registering_imports_nothing_heavy():
    code = (
        "import sys, bdbench_defense_finemixing.hooks, bdbench_defense_finemixing.config\n"
        "heavy = {'torch', 'numpy', 'transformers', 'tokenizers', 'wordfreq', 'mlflow'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
