"""What this plugin registers."""

from __future__ import annotations

from bdbench.api import DefenseSpec, DefenseStage, Needs, hookimpl
from bdbench_defense_onion.config import QUANTILE, least_rows

CITATION = """\
@inproceedings{qi2021onion,
  title = {{ONION}: A Simple and Effective Defense Against Textual Backdoor Attacks},
  author = {Qi, Fanchao and Chen, Yangyi and Li, Mukai and Yao, Yuan and Liu, Zhiyuan
            and Sun, Maosong},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language
               Processing},
  year = {2021},
  note = {arXiv:2011.10369},
}
"""

_TASKS = frozenset({"text-classification", "text-pair-classification"})

LEAST_ROWS = least_rows(QUANTILE)

ONION = DefenseSpec(
    name="onion",
    target="bdbench_defense_onion.onion:Onion",
    config="bdbench_defense_onion.config:OnionConfig",
    summary="Takes out of each input the words without which it reads better.",
    citation=CITATION,
    tasks=_TASKS,
    stages=frozenset({DefenseStage.SCREEN}),
    needs=Needs(clean_rows=LEAST_ROWS),
)

ONION_FILTER = DefenseSpec(
    name="onion-filter",
    target="bdbench_defense_onion.onion:OnionFilter",
    config="bdbench_defense_onion.config:OnionFilterConfig",
    summary="ONION on the training data: rewrites or drops rows with such words, then retrains.",
    citation=CITATION,
    tasks=_TASKS,
    stages=frozenset({DefenseStage.FILTER}),
    needs=Needs(clean_rows=LEAST_ROWS, training_data=True),
)


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The defenses of this plugin."""
    return [ONION, ONION_FILTER]
