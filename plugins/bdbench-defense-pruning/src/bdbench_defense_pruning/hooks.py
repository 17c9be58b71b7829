"""What this plugin registers."""

from __future__ import annotations

from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl

REPAIR = frozenset({DefenseStage.REPAIR})
TEXT = frozenset({"text-classification", "text-pair-classification"})

AMOUNTS = tuple({"amount": amount} for amount in (0.1, 0.3, 0.5, 0.7, 0.9))
"""What the host may try, gentlest first."""

FINE_PRUNING = DefenseSpec(
    name="fine-pruning",
    target="bdbench_defense_pruning.fine_pruning:FinePruning",
    config="bdbench_defense_pruning.config:FinePruningConfig",
    summary="Removes the feed-forward neurons that clean rows leave idle, then fine-tunes.",
    citation="""\
@inproceedings{liu2018fine,
  title = {Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks},
  author = {Liu, Kang and Dolan-Gavitt, Brendan and Garg, Siddharth},
  booktitle = {Research in Attacks, Intrusions, and Defenses (RAID)},
  year = {2018},
  note = {arXiv:1805.12185},
}
""",
    stages=REPAIR,
    needs=Needs(access=Access.WEIGHTS, clean_rows=8),
    grid=AMOUNTS,
)

MAGNITUDE_PRUNING = DefenseSpec(
    name="magnitude-pruning",
    target="bdbench_defense_pruning.magnitude:MagnitudePruning",
    config="bdbench_defense_pruning.config:MagnitudePruningConfig",
    summary="Sets the smallest weights of the body to zero, then fine-tunes.",
    citation="""\
@inproceedings{han2015learning,
  title = {Learning both Weights and Connections for Efficient Neural Networks},
  author = {Han, Song and Pool, Jeff and Tran, John and Dally, William J.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2015},
  note = {arXiv:1506.02626},
}
""",
    stages=REPAIR,
    needs=Needs(access=Access.WEIGHTS, clean_rows=8),
    grid=AMOUNTS,
)

PURE = DefenseSpec(
    name="pure",
    target="bdbench_defense_pruning.pure:Pure",
    config="bdbench_defense_pruning.config:PureConfig",
    summary="Removes attention heads of low [CLS] variance, then fine-tunes with flat attention.",
    citation="""\
@inproceedings{zhao2024defense,
  title = {Defense against Backdoor Attack on Pre-trained Language Models via Head Pruning and
           Attention Normalization},
  author = {Zhao, Xingyi and Xu, Depeng and Yuan, Shuhan},
  booktitle = {Proceedings of the 41st International Conference on Machine Learning},
  series = {PMLR},
  volume = {235},
  pages = {61108--61120},
  year = {2024},
}
""",
    stages=REPAIR,
    needs=Needs(access=Access.WEIGHTS, clean_rows=16),
    tasks=TEXT,
)


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The defenses of this plugin."""
    return [FINE_PRUNING, MAGNITUDE_PRUNING, PURE]
