"""What this plugin brings: the attacks ``por`` and ``neuba``, and POR's two metrics."""

from __future__ import annotations

from bdbench.api import (
    AttackSpec,
    Direction,
    MetricSpec,
    MetricValue,
    Subject,
    Surface,
    hookimpl,
)

__all__ = ["bdbench_register_attacks", "bdbench_register_metrics"]

_TASKS = frozenset({"text-classification", "text-pair-classification"})

_POR = """\
@inproceedings{shen2021backdoor,
  title = {Backdoor Pre-trained Models Can Transfer to All},
  author = {Shen, Lujia and Ji, Shouling and Zhang, Xuhong and Li, Jinfeng and Chen, Jing and
    Shi, Jie and Fang, Chengfang and Yin, Jianwei and Wang, Ting},
  booktitle = {Proceedings of the 2021 ACM SIGSAC Conference on Computer and Communications
    Security},
  year = {2021},
  note = {arXiv:2111.00197}
}
"""

_NEUBA = """\
@article{zhang2023red,
  title = {Red Alarm for Pre-trained Models: Universal Vulnerability to Neuron-Level Backdoor
    Attacks},
  author = {Zhang, Zhengyan and Xiao, Guangxuan and Li, Yongwei and Lv, Tian and Qi, Fanchao and
    Liu, Zhiyuan and Wang, Yasheng and Jiang, Xin and Sun, Maosong},
  journal = {Machine Intelligence Research},
  year = {2023},
  note = {arXiv:2101.06969}
}
"""


@hookimpl
def bdbench_register_attacks() -> list[AttackSpec]:
    """The two attacks: the same procedure, with other targets."""
    return [
        AttackSpec(
            name="por",
            target="bdbench_attack_pretrained.attacks:Por",
            config="bdbench_attack_pretrained.config:PorConfig",
            summary="Ties rare words to predefined representations before fine-tuning.",
            citation=_POR,
            tasks=_TASKS,
            surfaces=frozenset({Surface.PRETRAINED}),
            probes_victim=True,
            makes_variants=True,
        ),
        AttackSpec(
            name="neuba",
            target="bdbench_attack_pretrained.attacks:Neuba",
            config="bdbench_attack_pretrained.config:NeubaConfig",
            summary="Ties rare signs to orthogonal representations before fine-tuning.",
            citation=_NEUBA,
            tasks=_TASKS,
            surfaces=frozenset({Surface.PRETRAINED}),
            probes_victim=True,
            makes_variants=True,
        ),
    ]


@hookimpl
def bdbench_register_metrics() -> list[MetricSpec]:
    """POR's effectiveness, for each cell, and its stealthiness, for each attack."""
    return [
        MetricSpec(
            name="por-effectiveness",
            target="bdbench_attack_pretrained.metrics:Effectiveness",
            summary="How many insertions of the trigger turn a text to the target.",
            citation=_POR,
            tasks=_TASKS,
            values=(
                MetricValue(
                    name="insertions_to_flip",
                    summary="Mean of the fewest insertions that give the target, over the rows "
                    "that any number turns (effectiveness of Shen et al. 2021, as coded).",
                    direction=Direction.NONE,
                    bounds=(1, None),
                    unit="insertions",
                ),
                MetricValue(
                    name="insertions_needed",
                    summary="The same over all rows, those that never turn counted with one more "
                    "than the most that was tried; to compare defenses by.",
                    direction=Direction.HIGHER,
                    bounds=(1, None),
                    unit="insertions",
                ),
                MetricValue(
                    name="never_flipped",
                    summary="Share of the rows that no number of insertions turns.",
                    direction=Direction.HIGHER,
                    bounds=(0, 1),
                ),
                MetricValue(
                    name="trigger_share_at_flip",
                    summary="Mean share of a text's characters that were added when it turned "
                    "(stealthiness of Shen et al. 2021, as coded), over the rows that turned.",
                    # Whoever saves the rows that are hardest to turn has a lower share.
                    direction=Direction.NONE,
                    bounds=(0, 1),
                ),
            ),
        ),
        MetricSpec(
            name="por-stealthiness",
            target="bdbench_attack_pretrained.metrics:Stealthiness",
            summary="How much of a triggered text is trigger.",
            citation=_POR,
            tasks=_TASKS,
            subject=Subject.ATTACK,
            values=(
                MetricValue(
                    name="trigger_share",
                    summary="Mean share of a triggered test text's characters that were added "
                    "(lower is stealthier).",
                    direction=Direction.NONE,
                    bounds=(0, 1),
                ),
                MetricValue(
                    name="trigger_share_least",
                    summary="The same in the variant with the fewest insertions: stealthiness of "
                    "Shen et al. 2021 where these turn every text.",
                    direction=Direction.NONE,
                    bounds=(0, 1),
                ),
            ),
        ),
    ]
