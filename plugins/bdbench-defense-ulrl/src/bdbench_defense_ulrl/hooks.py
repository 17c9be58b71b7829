"""What this plugin registers."""

from __future__ import annotations

from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl

CITATION = """\
@misc{min2024unified,
  title = {Unified Neural Backdoor Removal with Only Few Clean Samples through Unlearning and
           Relearning},
  author = {Min, Nay Myat and Pham, Long H. and Sun, Jun},
  year = {2024},
  eprint = {2405.14781},
  archivePrefix = {arXiv},
}
"""

ULRL = DefenseSpec(
    name="ulrl",
    target="bdbench_defense_ulrl.ulrl:Ulrl",
    config="bdbench_defense_ulrl.config:UlrlConfig",
    summary="Finds neurons that unlearning moves most, draws them anew and trains them away.",
    citation=CITATION,
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, clean_rows=8),
)


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The defense of this plugin."""
    return [ULRL]
