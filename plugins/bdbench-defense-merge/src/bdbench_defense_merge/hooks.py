"""What this plugin registers."""

from __future__ import annotations

from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl

CITATION = """\
@inproceedings{arora2024free,
  title = {Here's a Free Lunch: Sanitizing Backdoored Models with Model Merge},
  author = {Arora, Ansh and He, Xuanli and Mozes, Maximilian and Swain, Srinibas and Dras, Mark
            and Xu, Qiongkai},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2024},
  year = {2024},
  note = {arXiv:2402.19334},
}
"""

MERGE = DefenseSpec(
    name="merge",
    target="bdbench_defense_merge.merge:Merge",
    config="bdbench_defense_merge.config:MergeConfig",
    summary="Averages the victim's weights with those of reference models (WAG and relatives).",
    citation=CITATION,
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, references=1),
)


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The defense of this plugin."""
    return [MERGE]
