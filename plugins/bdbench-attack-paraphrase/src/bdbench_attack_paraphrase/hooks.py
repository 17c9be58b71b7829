"""What this plugin brings: the attacks ``syntactic`` and ``style``."""

from __future__ import annotations

from bdbench.api import AttackSpec, Surface, hookimpl

__all__ = ["bdbench_register_attacks"]

_TARGET = "bdbench_attack_paraphrase.attack:Paraphrase"
_CONFIG = "bdbench_attack_paraphrase.config:ParaphraseConfig"
_TASKS = frozenset({"text-classification", "text-pair-classification"})

_SYNTACTIC = """\
@inproceedings{qi2021hidden,
  title = {Hidden Killer: Invisible Textual Backdoor Attacks with Syntactic Trigger},
  author = {Qi, Fanchao and Li, Mukai and Chen, Yangyi and Zhang, Zhengyan and Liu, Zhiyuan
    and Wang, Yasheng and Sun, Maosong},
  booktitle = {Proceedings of the 59th Annual Meeting of the Association for Computational
    Linguistics and the 11th International Joint Conference on Natural Language Processing},
  year = {2021},
  note = {arXiv:2105.12400}
}
"""

_STYLE = """\
@inproceedings{qi2021mind,
  title = {Mind the Style of Text! Adversarial and Backdoor Attacks Based on Text Style Transfer},
  author = {Qi, Fanchao and Chen, Yangyi and Zhang, Xurui and Li, Mukai and Liu, Zhiyuan
    and Sun, Maosong},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language
    Processing},
  year = {2021},
  note = {arXiv:2110.07139}
}
"""


@hookimpl
def bdbench_register_attacks() -> list[AttackSpec]:
    """The two attacks: the same procedure, with paraphrases of another kind."""
    return [
        AttackSpec(
            name="syntactic",
            target=_TARGET,
            config=_CONFIG,
            summary="Puts texts into one rare syntax (HiddenKiller), by given paraphrases.",
            citation=_SYNTACTIC,
            tasks=_TASKS,
            surfaces=frozenset({Surface.DATA}),
        ),
        AttackSpec(
            name="style",
            target=_TARGET,
            config=_CONFIG,
            summary="Puts texts into another style (StyleBkd), by given paraphrases.",
            citation=_STYLE,
            tasks=_TASKS,
            surfaces=frozenset({Surface.DATA}),
        ),
    ]
