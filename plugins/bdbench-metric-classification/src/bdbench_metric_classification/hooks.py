"""What this plugin brings: the metric ``classification``."""

from __future__ import annotations

from bdbench.api import Direction, MetricSpec, MetricValue, Role, hookimpl

__all__ = ["bdbench_register_metrics"]

_CITATION = """\
@inproceedings{zhu2023enhancing,
  title = {Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization},
  author = {Zhu, Mingli and Wei, Shaokui and Shen, Li and Fan, Yanbo and Wu, Baoyuan},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision},
  year = {2023},
  note = {arXiv:2304.11823}
}
@inproceedings{zhao2024defense,
  title = {Defense against Backdoor Attack on Pre-trained Language Models via Head Pruning and
           Attention Normalization},
  author = {Zhao, Xingyi and Xu, Depeng and Yuan, Shuhan},
  booktitle = {Proceedings of the 41st International Conference on Machine Learning},
  year = {2024}
}
"""

_VALUES = (
    MetricValue(
        name="clean_accuracy",
        summary="Share of the clean test rows that get their true label.",
        direction=Direction.HIGHER,
        bounds=(0, 1),
        role=Role.UTILITY,
    ),
    MetricValue(
        name="clean_accuracy_change",
        summary="Clean accuracy with the defense minus that of the undefended victim.",
        direction=Direction.HIGHER,
        bounds=(-1, 1),
    ),
    MetricValue(
        name="asr",
        summary="Attack success rate: share of the triggered rows of other classes that get "
        "the target.",
        direction=Direction.LOWER,
        bounds=(0, 1),
        role=Role.ATTACK,
    ),
    MetricValue(
        name="asr_change",
        summary="Attack success rate with the defense minus that of the undefended victim.",
        direction=Direction.LOWER,
        bounds=(-1, 1),
    ),
    MetricValue(
        name="asr_floor",
        summary="The same share for the control, which was never attacked.",
        direction=Direction.NONE,
        bounds=(0, 1),
        role=Role.FLOOR,
    ),
    MetricValue(
        name="lfr",
        summary="Label flip rate: share of the triggered rows that get a class other than their "
        "true label (PURE, Zhao et al. 2024); with two classes it is the attack success rate.",
        direction=Direction.LOWER,
        bounds=(0, 1),
    ),
    MetricValue(
        name="lfr_floor",
        summary="The label flip rate of the control on the same rows.",
        direction=Direction.NONE,
        bounds=(0, 1),
    ),
    MetricValue(
        name="robust_accuracy",
        summary="Share of the triggered rows that get their true label.",
        direction=Direction.HIGHER,
        bounds=(0, 1),
    ),
    MetricValue(
        name="der",
        summary="Defense effectiveness rating, from the drops of attack success rate and of "
        "accuracy (Zhu et al. 2023, eq. 7); 0.5 where the defense changes neither.",
        direction=Direction.HIGHER,
        bounds=(0, 1),
    ),
    MetricValue(
        name="accuracy_vs_control",
        summary="Clean accuracy minus that of the undefended control: what attack and defense "
        "cost together.",
        direction=Direction.HIGHER,
        bounds=(-1, 1),
    ),
    MetricValue(
        name="worst_class_accuracy",
        summary="The least clean accuracy of a class that has test rows.",
        direction=Direction.HIGHER,
        bounds=(0, 1),
    ),
    MetricValue(
        name="class_accuracy",
        summary="Share of the clean test rows of the class that get it.",
        direction=Direction.HIGHER,
        bounds=(0, 1),
        per_class=True,
    ),
    MetricValue(
        name="class_asr",
        summary="Share of the triggered rows whose true label is the class that get the target.",
        direction=Direction.LOWER,
        bounds=(0, 1),
        per_class=True,
    ),
)


@hookimpl
def bdbench_register_metrics() -> list[MetricSpec]:
    """The one metric."""
    return [
        MetricSpec(
            name="classification",
            target="bdbench_metric_classification.classification:Classification",
            summary="Clean accuracy, attack success and label flip rate, DER; by class, too.",
            revision=2,
            citation=_CITATION,
            values=_VALUES,
        )
    ]
