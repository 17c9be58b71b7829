"""What this plugin brings."""

from __future__ import annotations

from bdbench.api import ModelSpec, hookimpl

__all__ = ["bdbench_register_models"]

CITATION = """\
@inproceedings{wang2020minilm,
  title     = {{MiniLM}: Deep Self-Attention Distillation for Task-Agnostic Compression of
               Pre-Trained Transformers},
  author    = {Wang, Wenhui and Wei, Furu and Dong, Li and Bao, Hangbo and Yang, Nan and
               Zhou, Ming},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2020},
  note      = {arXiv:2002.10957}
}
@inproceedings{reimers2019sentence,
  title     = {Sentence-{BERT}: Sentence Embeddings using Siamese {BERT}-Networks},
  author    = {Reimers, Nils and Gurevych, Iryna},
  booktitle = {Proceedings of EMNLP-IJCNLP},
  year      = {2019},
  note      = {arXiv:1908.10084}
}
"""


@hookimpl
def bdbench_register_models() -> list[ModelSpec]:
    """The model family `minilm`."""
    return [
        ModelSpec(
            name="minilm",
            target="bdbench_model_minilm.model:MiniLM",
            config="bdbench_model_minilm.config:MiniLMConfig",
            summary="all-MiniLM-L6-v2: 6 layers, 22.7 million weights, really pre-trained.",
            citation=CITATION,
            tasks=frozenset({"text-classification", "text-pair-classification"}),
        )
    ]
