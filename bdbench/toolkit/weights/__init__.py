"""Streaming arithmetic over the safetensors files of checkpoints, in bounded memory."""

from bdbench.toolkit.weights.combine import Combined, Rule, Step, combine, elementwise
from bdbench.toolkit.weights.companions import copy_companions
from bdbench.toolkit.weights.compatible import check_mergeable, check_tokenizers
from bdbench.toolkit.weights.header import TensorInfo
from bdbench.toolkit.weights.reader import PIECE, StoredTensor, WeightReader
from bdbench.toolkit.weights.writer import WeightWriter

__all__ = [
    "PIECE",
    "Combined",
    "Rule",
    "Step",
    "StoredTensor",
    "TensorInfo",
    "WeightReader",
    "WeightWriter",
    "check_mergeable",
    "check_tokenizers",
    "combine",
    "copy_companions",
    "elementwise",
]
