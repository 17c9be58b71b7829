from __future__ import annotations

import subprocess
import sys

from bdbench.api import Direction
from bdbench_metric_classification.hooks import bdbench_register_metrics


def test_listing_the_metric_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'transformers', 'datasets', 'mlflow', 'pandas'}"
    code = (
        "import sys, bdbench_metric_classification.hooks\n"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_spec_says_which_way_is_better():
    (spec,) = bdbench_register_metrics()
    assert spec.works_for("any-task")
    assert spec.config == ""
    assert spec.revision == 2
    assert {value.name for value in spec.values if value.per_class} == {
        "class_accuracy",
        "class_asr",
    }
    better = {value.name: value.direction for value in spec.values}
    assert better == {
        "clean_accuracy": Direction.HIGHER,
        "asr": Direction.LOWER,
        "asr_floor": Direction.NONE,
        "lfr": Direction.LOWER,
        "lfr_floor": Direction.NONE,
        "robust_accuracy": Direction.HIGHER,
        "clean_accuracy_change": Direction.HIGHER,
        "asr_change": Direction.LOWER,
        "accuracy_vs_control": Direction.HIGHER,
        "der": Direction.HIGHER,
        "worst_class_accuracy": Direction.HIGHER,
        "class_accuracy": Direction.HIGHER,
        "class_asr": Direction.LOWER,
    }
