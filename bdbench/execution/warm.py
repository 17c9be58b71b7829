"""What the warm parent of all workers imports once, before it forks them.

It holds code only, no data of any suite: what it knew, every child could read.
"""

import io
import os

# Before torch is imported: the libraries under it read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers.models.auto.modeling_auto
import transformers.models.bert.modeling_bert
import transformers.models.bert.tokenization_bert  # noqa: F401

import bdbench.engine.stages  # noqa: F401
from bdbench.engine.numerics import settle

__all__: list[str] = []


def _first_uses() -> None:
    """Does what imports more at its first use, so that no child has to.

    Determinism brings in torch._inductor (1 s), an optimizer torch._dynamo, reading parquet
    pyarrow.dataset and with it pandas (1 s).
    """
    settle()
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    pq.read_table(file)


_first_uses()
