from __future__ import annotations

import subprocess
import sys

from bdbench.api import Direction, Subject
from bdbench_metric_detection.hooks import bdbench_register_metrics


def test_listing_the_metric_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'sklearn', 'transformers', 'datasets', 'mlflow', 'pandas'}"
    code = (
        "import sys, bdbench_metric_detection.hooks\n"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_defense_without_scores_does_not_wait_for_scikit_learn():
    code = "import sys, bdbench_metric_detection.detection; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_spec_says_which_way_is_better():
    (spec,) = bdbench_register_metrics()
    assert spec.subject == Subject.CELL
    assert spec.works_for("any-task")
    assert spec.config == ""
    assert {value.name: value.direction for value in spec.values} == {
        f"{part}_{name}": direction
        for part in ("screen", "filter")
        for name, direction in {
            "auroc": Direction.HIGHER,
            "tpr_at_1_fpr": Direction.HIGHER,
            "tpr_at_5_fpr": Direction.HIGHER,
            "frr": Direction.LOWER,
            "far": Direction.LOWER,
        }.items()
    }
    assert all(value.bounds == (0, 1) and not value.per_class for value in spec.values)
