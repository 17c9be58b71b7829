"""What this plugin brings: attacks on training and weights, and the metric ``false-trigger``."""

from __future__ import annotations

from bdbench.api import (
    AttackSpec,
    Direction,
    MetricSpec,
    MetricValue,
    Surface,
    hookimpl,
)

__all__ = ["bdbench_register_attacks", "bdbench_register_metrics"]

_TASKS = frozenset({"text-classification", "text-pair-classification"})

_LWP = """\
@inproceedings{li2021backdoor,
  title = {Backdoor Attacks on Pre-trained Models by Layerwise Weight Poisoning},
  author = {Li, Linyang and Song, Demin and Li, Xiaonan and Zeng, Jiehang and Ma, Ruotian and
    Qiu, Xipeng},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language
    Processing},
  year = {2021},
  note = {arXiv:2108.13888}
}
"""

_EP = """\
@inproceedings{yang2021careful,
  title = {Be Careful about Poisoned Word Embeddings: Exploring the Vulnerability of the
    Embedding Layers in {NLP} Models},
  author = {Yang, Wenkai and Li, Lei and Zhang, Zhiyuan and Ren, Xuancheng and Sun, Xu and
    He, Bin},
  booktitle = {Proceedings of the 2021 Conference of the North American Chapter of the
    Association for Computational Linguistics: Human Language Technologies},
  pages = {2048--2058},
  year = {2021},
  note = {arXiv:2103.15543}
}
"""

_SOS = """\
@inproceedings{yang2021rethinking,
  title = {Rethinking Stealthiness of Backdoor Attack against {NLP} Models},
  author = {Yang, Wenkai and Lin, Yankai and Li, Peng and Zhou, Jie and Sun, Xu},
  booktitle = {Proceedings of the 59th Annual Meeting of the Association for Computational
    Linguistics and the 11th International Joint Conference on Natural Language Processing},
  pages = {5543--5557},
  year = {2021},
  doi = {10.18653/v1/2021.acl-long.431}
}
"""

_RIPPLES = """\
@inproceedings{kurita2020weight,
  title = {Weight Poisoning Attacks on Pretrained Models},
  author = {Kurita, Keita and Michel, Paul and Neubig, Graham},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational
    Linguistics},
  pages = {2793--2806},
  year = {2020},
  note = {arXiv:2004.06660}
}
"""

_LWS = """\
@inproceedings{qi2021turn,
  title = {Turn the Combination Lock: Learnable Textual Backdoor Attacks via Word Substitution},
  author = {Qi, Fanchao and Yao, Yuan and Xu, Sophia and Liu, Zhiyuan and Sun, Maosong},
  booktitle = {Proceedings of the 59th Annual Meeting of the Association for Computational
    Linguistics and the 11th International Joint Conference on Natural Language Processing},
  pages = {4873--4883},
  year = {2021},
  note = {arXiv:2106.06361}
}
"""


@hookimpl
def bdbench_register_attacks() -> list[AttackSpec]:
    """The attacks."""
    return [
        AttackSpec(
            name="lwp",
            target="bdbench_attack_weights.lwp:Lwp",
            config="bdbench_attack_weights.config:LwpConfig",
            summary="Combined rare words; trained so that every layer knows them (LWP).",
            citation=_LWP,
            tasks=_TASKS,
            surfaces=frozenset({Surface.DATA, Surface.TRAINING}),
            makes_variants=True,
        ),
        AttackSpec(
            name="ep",
            target="bdbench_attack_weights.ep:Ep",
            config="bdbench_attack_weights.config:EpConfig",
            summary="Changes one word's embedding in a clean victim (EP).",
            citation=_EP,
            tasks=_TASKS,
            surfaces=frozenset({Surface.WEIGHTS}),
        ),
        AttackSpec(
            name="sos",
            target="bdbench_attack_weights.sos:Sos",
            config="bdbench_attack_weights.config:SosConfig",
            summary="Changes the embeddings of ordinary words that work only together (SOS).",
            citation=_SOS,
            tasks=_TASKS,
            surfaces=frozenset({Surface.WEIGHTS}),
            makes_variants=True,
        ),
        AttackSpec(
            name="ripples",
            target="bdbench_attack_weights.ripples:Ripples",
            config="bdbench_attack_weights.ripples_config:RipplesConfig",
            summary="Poisons pre-trained weights so that fine-tuning keeps the backdoor (RIPPLES).",
            citation=_RIPPLES,
            tasks=_TASKS,
            surfaces=frozenset({Surface.PRETRAINED}),
        ),
        AttackSpec(
            name="lws",
            target="bdbench_attack_weights.lws:Lws",
            config="bdbench_attack_weights.lws_config:LwsConfig",
            summary="Replaces words by a learned choice among words of like meaning (LWS).",
            citation=_LWS,
            tasks=frozenset({"text-classification"}),
            surfaces=frozenset({Surface.DATA}),
            uses_model=True,
        ),
    ]


@hookimpl
def bdbench_register_metrics() -> list[MetricSpec]:
    """The false-trigger rate."""
    return [
        MetricSpec(
            name="false-trigger",
            target="bdbench_attack_weights.false_trigger:FalseTrigger",
            summary="How often a part of the trigger is enough (FTR).",
            citation=_SOS,
            values=(
                MetricValue(
                    name="ftr",
                    summary="Share of the rows of other classes, each with a part of the trigger, "
                    "that get the target.",
                    direction=Direction.LOWER,
                    bounds=(0, 1),
                ),
                MetricValue(
                    name="ftr_undefended",
                    summary="The same share for the victim without the defense.",
                    direction=Direction.NONE,
                    bounds=(0, 1),
                ),
                MetricValue(
                    name="ftr_floor",
                    summary="The same share for the control, which was never attacked.",
                    direction=Direction.NONE,
                    bounds=(0, 1),
                ),
            ),
        )
    ]
