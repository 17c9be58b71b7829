"""What this plugin brings: the attacks ``badnets`` and ``insertsent``."""

from __future__ import annotations

from bdbench.api import AttackSpec, Surface, hookimpl

__all__ = ["bdbench_register_attacks"]

_TASKS = frozenset({"text-classification", "text-pair-classification"})

_BADNETS = """\
@article{gu2017badnets,
  title = {{BadNets}: Identifying Vulnerabilities in the Machine Learning Model Supply Chain},
  author = {Gu, Tianyu and Dolan-Gavitt, Brendan and Garg, Siddharth},
  journal = {arXiv preprint arXiv:1708.06733},
  year = {2017}
}
@inproceedings{kurita2020weight,
  title = {Weight Poisoning Attacks on Pretrained Models},
  author = {Kurita, Keita and Michel, Paul and Neubig, Graham},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational
    Linguistics},
  year = {2020},
  note = {arXiv:2004.06660}
}
"""

_INSERTSENT = """\
@article{dai2019backdoor,
  title = {A Backdoor Attack Against {LSTM}-Based Text Classification Systems},
  author = {Dai, Jiazhu and Chen, Chuanshuai and Li, Yufeng},
  journal = {IEEE Access},
  volume = {7},
  year = {2019},
  note = {arXiv:1905.12457}
}
"""


@hookimpl
def bdbench_register_attacks() -> list[AttackSpec]:
    """The two attacks."""
    return [
        AttackSpec(
            name="badnets",
            target="bdbench_attack_insertion.attacks:BadNets",
            config="bdbench_attack_insertion.config:BadNetsConfig",
            summary="Inserts rare words into the text.",
            citation=_BADNETS,
            tasks=_TASKS,
            surfaces=frozenset({Surface.DATA}),
        ),
        AttackSpec(
            name="insertsent",
            target="bdbench_attack_insertion.attacks:InsertSent",
            config="bdbench_attack_insertion.config:InsertSentConfig",
            summary="Inserts one fixed sentence into the text.",
            citation=_INSERTSENT,
            tasks=_TASKS,
            surfaces=frozenset({Surface.DATA}),
        ),
    ]
