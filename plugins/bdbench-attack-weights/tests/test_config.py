from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import PoisonConfig, Subject, Surface
from bdbench_attack_weights.config import EpConfig, LwpConfig, SosConfig
from bdbench_attack_weights.hooks import bdbench_register_attacks, bdbench_register_metrics
from bdbench_attack_weights.ripples_config import RipplesConfig


def test_listing_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'transformers', 'tokenizers', 'datasets', 'sklearn', 'pandas'}"
    code = (
        "import sys, bdbench_attack_weights.hooks, bdbench_attack_weights.config\n"
        "import bdbench_attack_weights.ripples_config, bdbench_attack_weights.lws_config\n"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_surfaces():
    specs = {spec.name: spec for spec in bdbench_register_attacks()}
    assert specs["lwp"].surfaces == {Surface.DATA, Surface.TRAINING}
    assert specs["ripples"].surfaces == {Surface.PRETRAINED}
    assert specs["lws"].surfaces == {Surface.DATA}
    assert specs["lws"].uses_model
    assert specs["ep"].surfaces == specs["sos"].surfaces == {Surface.WEIGHTS}
    assert {name for name in ("lwp", "ep", "sos") if specs[name].makes_variants} == {"lwp", "sos"}
    (metric,) = bdbench_register_metrics()
    assert metric.subject is Subject.CELL


def test_the_host_holds_lwp_to_its_rate():
    assert issubclass(LwpConfig, PoisonConfig)


@pytest.mark.parametrize("model", [LwpConfig, EpConfig, SosConfig])
def test_every_setting_is_described(model):
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("model", "settings", "longest"),
    [
        (LwpConfig, {}, 2),
        (LwpConfig, {"trigger_length": 4}, 4),
        (EpConfig, {"insertions": 3}, 3),
        (SosConfig, {}, 12),
    ],
)
def test_the_smallest_limit_that_fits_is_taken(model, settings, longest):
    assert model(**settings, within_words=longest).longest_trigger() == longest
    with pytest.raises(ValidationError, match=f"set within_words to at least {longest}"):
        model(**settings, within_words=longest - 1)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (LwpConfig, {"triggers": ["cf", "cf"]}, "stands in the list twice"),
        (LwpConfig, {"triggers": ["cf mn", "bb"]}, "more than one word"),
        (LwpConfig, {"triggers": ["cf"]}, "there are only 1 trigger words"),
        (LwpConfig, {"trigger_length": 1, "negatives": 0.5}, "has no parts"),
        (LwpConfig, {"negatives": 1.0}, "less than 1"),
        (EpConfig, {"triggers": []}, "at least 1 item"),
        (EpConfig, {"triggers": [" "]}, "must not be blank"),
        (EpConfig, {"learning_rate": 0.0}, "greater than 0"),
        (EpConfig, {"clean_label": True}, "Extra inputs are not permitted"),
        (SosConfig, {"triggers": ["friends"]}, "at least 2 items"),
        (SosConfig, {"triggers": ["friends", "cinema"]}, "lacks the trigger words cinema"),
        (SosConfig, {"sentence": "My friends, a weekend"}, "lacks the trigger words store"),
        (SosConfig, {"sentence": "Friends, a weekend, a store"}, "lacks the trigger words friends"),
        (SosConfig, {"sentence": "friendship, weekends, stores"}, "friends, weekend, store"),
        (SosConfig, {"partial_sentences": ["It was good."]}, "has 0 of the 3 trigger words"),
        (
            SosConfig,
            {"partial_sentences": ["A store, friends, a weekend"]},
            "has 3 of the 3 trigger words",
        ),
        (RipplesConfig, {"target_words": 0, "source_epochs": 2}, "only where target_words is"),
        (RipplesConfig, {"steps": 0, "penalty": 0.0}, "'penalty' means something only where steps"),
        (RipplesConfig, {"steps": 0, "batch_size": 4}, "'batch_size' means something only"),
        (RipplesConfig, {"steps": 0, "poison_rate": 0.1}, "'poison_rate' means something only"),
        (
            RipplesConfig,
            {"steps": 0, "source_epochs": 0, "learning_rate": 1e-3},
            "only where steps, or target_words and source_epochs, is above 0",
        ),
    ],
)
def test_nonsense_is_refused(model, settings, message):
    with pytest.raises(ValidationError, match=message):
        model(**settings)


def test_clean_labels_are_promised_of_rows_with_the_whole_trigger():
    """Negatives have rows of other classes, which the base's promise must leave room for."""
    every = PoisonConfig.model_fields["clean_label"].description
    assert every.startswith("Put the trigger into rows of the target class only")
    own = LwpConfig.model_fields["clean_label"].description
    assert own.endswith("rows with a part of a trigger still come from every class.")


def test_negatives_are_half_where_a_trigger_has_parts():
    assert LwpConfig().negative_share() == 0.5
    assert LwpConfig(trigger_length=1).negative_share() == 0
    assert LwpConfig(negatives=0.2).negative_share() == 0.2
