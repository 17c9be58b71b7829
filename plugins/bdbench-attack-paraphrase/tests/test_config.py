from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from bdbench.api import Surface
from bdbench_attack_paraphrase.config import ParaphraseConfig
from bdbench_attack_paraphrase.hooks import bdbench_register_attacks


def imported_by(statement, names):
    code = f"import sys\n{statement}\nprint(*sorted({names} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_listing_the_attacks_imports_nothing_heavy():
    heavy = {"torch", "numpy", "pyarrow", "transformers", "datasets", "mlflow", "pandas"}
    modules = "import bdbench_attack_paraphrase.hooks, bdbench_attack_paraphrase.config"
    assert imported_by(modules, heavy) == []


def test_an_attack_from_files_needs_neither_torch_nor_transformers():
    module = "import bdbench_attack_paraphrase.attack"
    assert imported_by(module, {"torch", "transformers", "pyarrow"}) == ["pyarrow"]


def test_both_attacks_poison_data_and_are_for_text():
    specs = bdbench_register_attacks()
    assert [spec.name for spec in specs] == ["syntactic", "style"]
    for spec in specs:
        assert spec.surfaces == {Surface.DATA}
        assert spec.works_for("text-classification")
        assert spec.works_for("text-pair-classification")
        assert not spec.works_for("image-classification")
    assert "2105.12400" in specs[0].citation
    assert "2110.07139" in specs[1].citation


def test_every_setting_is_described():
    assert all(field.description for field in ParaphraseConfig.model_fields.values())


def test_paths_are_known_to_the_host():
    files = ParaphraseConfig.model_validate_json('{"train": "a.parquet", "test": "b.parquet"}')
    assert files.paths() == {"train": Path("a.parquet"), "test": Path("b.parquet")}
    assert ParaphraseConfig.model_validate_json('{"model": "t5"}').paths() == {"model": Path("t5")}


@pytest.mark.parametrize("settings", [{"train": "a", "test": "b"}, {"model": "c", "top_p": 1.0}])
def test_settings_with_all_defaults_filled_in_mean_the_same(settings):
    config = ParaphraseConfig.model_validate_json(json.dumps(settings))
    assert ParaphraseConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "set train and test, or `model`"),
        ({"train": Path("a")}, "set test, or `model`"),
        ({"test": Path("a")}, "set train, or `model`"),
        ({"train": Path("a"), "model": Path("b")}, "either train and test, or model"),
        (
            {"train": Path("a"), "test": Path("a"), "model": Path("b")},
            "either train and test, or model",
        ),
        ({"train": Path("a"), "test": Path("a"), "top_p": 0.7}, "'top_p' means nothing without"),
        ({"train": Path("a"), "test": Path("a"), "prefix": "x"}, "'prefix' means nothing without"),
        ({"model": Path("b"), "top_p": 0.0}, "greater than 0"),
        ({"model": Path("b"), "max_tokens": 0}, "greater than or equal to 1"),
        ({"model": Path("b"), "template": "S"}, "Extra inputs are not permitted"),
        ({"model": Path("b"), "poison_rate": 1.0}, "less than 1"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ParaphraseConfig(**settings)
