"""What this plugin brings: the metric ``classification``."""

from __future__ import annotations

from bdbench.api import Direction, MetricSpec, MetricValue, hookimpl

__all__ = ["bdbench_register_metrics"]

_CITATION = """\
@inproceedings{zhu2023enhancing,
  title = {Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization},
  author = {Zhu, Mingli and Wei, Shaokui and Shen, Li and Fan, Yanbo and Wu, Baoyuan},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision},
  year = {2023},
  note = {arXiv:2304.11823}
}
"""

_VALUES = (
    MetricValue(
        name="clean_accuracy",
        summary="Share of the clean test rows that get their true label.",
        direction=Direction.HIGHER,
        bounds=(0, 1),
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
)


@hookimpl
def bdbench_register_metrics() -> list[MetricSpec]:
    """The one metric."""
    return [
        MetricSpec(
            name="classification",
            target="bdbench_metric_classification.classification:Classification",
            summary="Clean accuracy, attack success rate, robust accuracy, DER.",
            citation=_CITATION,
            values=_VALUES,
        )
    ]
