"""What this plugin brings: the metric ``detection``."""

from __future__ import annotations

from bdbench.api import Direction, MetricSpec, MetricValue, hookimpl

__all__ = ["bdbench_register_metrics"]

_CITATION = """\
@inproceedings{cui2022unified,
  title = {A Unified Evaluation of Textual Backdoor Learning: Frameworks and Benchmarks},
  author = {Cui, Ganqu and Yuan, Lifan and He, Bingxiang and Chen, Yangyi and Liu, Zhiyuan and
            Sun, Maosong},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2022},
  note = {arXiv:2206.08514}
}
"""


def _value(name: str, summary: str, direction: Direction) -> MetricValue:
    return MetricValue(name=name, summary=summary, direction=direction, bounds=(0, 1))


def _by_scores(prefix: str, positives: str, negatives: str) -> tuple[MetricValue, ...]:
    """The values that take suspicion scores and no threshold of the defense."""
    return (
        _value(
            f"{prefix}_auroc",
            f"Probability that one of the {positives} has a higher suspicion score than one of "
            f"the {negatives}; ties count half.",
            Direction.HIGHER,
        ),
        *(
            _value(
                f"{prefix}_tpr_at_{percent}_fpr",
                f"Largest share of the {positives} whose scores reach a threshold that at most "
                f"{percent} % of the {negatives} reach.",
                Direction.HIGHER,
            )
            for percent in (1, 5)
        ),
    )


_SCREEN = (
    *_by_scores("screen", "triggered test rows", "clean test rows"),
    _value(
        "screen_frr",
        "False rejection rate: share of the clean test rows that the screen rejects or rewrites.",
        Direction.LOWER,
    ),
    _value(
        "screen_far",
        "False acceptance rate: share of the triggered test rows that the screen lets pass as "
        "they are.",
        Direction.LOWER,
    ),
)

_FILTER = (
    *_by_scores("filter", "poisoned training rows", "clean training rows"),
    _value(
        "filter_frr",
        "False rejection rate: share of the clean training rows that the filter drops.",
        Direction.LOWER,
    ),
    _value(
        "filter_far",
        "False acceptance rate: share of the poisoned training rows that the filter keeps.",
        Direction.LOWER,
    ),
)


@hookimpl
def bdbench_register_metrics() -> list[MetricSpec]:
    """The one metric."""
    return [
        MetricSpec(
            name="detection",
            target="bdbench_metric_detection.detection:Detection",
            summary="AUROC, TPR at 1 % and 5 % FPR, FRR and FAR of screens and filters.",
            citation=_CITATION,
            values=(*_SCREEN, *_FILTER),
        )
    ]
