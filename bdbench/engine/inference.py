"""Predictions for all rows: batches by length, put back into the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bdbench.api import Model, NonFiniteError, Outputs
from bdbench.engine.batching import evaluation_batches
from bdbench.engine.meter import Meter
from bdbench.engine.numerics import autocast, device

__all__ = ["predict", "to_device"]


def to_device(batch: Any) -> Any:
    """A batch with its tensors where the model runs."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device(), non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(value) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value) for value in batch)
    return batch


def predict(
    model: Model,
    module: torch.nn.Module,
    items: Sequence[Any],
    *,
    precision: str,
    meter: Meter,
) -> Outputs:
    """What a model says of each encoded row, in their order.

    Raises:
        NonFiniteError: An output is NaN or infinite: the largest of NaNs would be class 0.
    """
    sizes = [model.size(item) for item in items]
    module.to(device()).eval()
    order: list[int] = []
    parts: dict[str, list[np.ndarray[Any, Any]]] = {}
    with torch.inference_mode():
        for batch in evaluation_batches(sizes):
            inputs = to_device(model.collate([items[row] for row in batch]))
            with autocast(precision):
                raw = model.forward(module, inputs)
            for name, column in model.read(raw).items():
                values = column.cpu().numpy()
                if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                    raise NonFiniteError(
                        "a model's outputs are not finite",
                        where=f"column {name!r}",
                        found=f"NaN or infinity in {int((~np.isfinite(values)).sum())} values",
                        expected="finite numbers",
                        next="look at the step that made this model",
                    )
                parts.setdefault(name, []).append(values)
            order += batch
            meter.forward_rows += len(batch)
    back = np.argsort(np.asarray(order, dtype=np.int64), kind="stable")
    return {name: np.concatenate(columns)[back] for name, columns in parts.items()}
