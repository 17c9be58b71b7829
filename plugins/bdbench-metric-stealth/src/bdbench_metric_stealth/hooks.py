"""What this plugin brings: the metric ``stealth``."""

from __future__ import annotations

from bdbench.api import Direction, MetricSpec, MetricValue, Subject, hookimpl

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
@inproceedings{reimers2019sentence,
  title = {Sentence-{BERT}: Sentence Embeddings using Siamese {BERT}-Networks},
  author = {Reimers, Nils and Gurevych, Iryna},
  booktitle = {Proceedings of EMNLP-IJCNLP},
  year = {2019},
  note = {arXiv:1908.10084}
}
"""

# A stealthy trigger is good for the attacker and bad for the defender: no way is "better".
_VALUES = (
    MetricValue(
        name="changed_words",
        summary="Mean share of a text's words that the trigger adds, drops or replaces.",
        direction=Direction.NONE,
        bounds=(0, 1),
    ),
    MetricValue(
        name="perplexity_change",
        summary="Mean of perplexity with the trigger minus perplexity without, under the "
        "configured language model (by default word frequencies only).",
        direction=Direction.NONE,
        unit="perplexity",
    ),
    MetricValue(
        name="embedding_similarity",
        summary="Mean cosine between the sentence embeddings of a text with and without the "
        "trigger, under the configured encoder.",
        direction=Direction.NONE,
        bounds=(-1, 1),
        unit="cosine",
    ),
)


@hookimpl
def bdbench_register_metrics() -> list[MetricSpec]:
    """The one metric."""
    return [
        MetricSpec(
            name="stealth",
            target="bdbench_metric_stealth.stealth:Stealth",
            config="bdbench_metric_stealth.config:StealthConfig",
            summary="What a trigger changes: words, perplexity, sentence embedding.",
            citation=_CITATION,
            tasks=frozenset({"text-classification", "text-pair-classification"}),
            values=_VALUES,
            subject=Subject.ATTACK,
        )
    ]
