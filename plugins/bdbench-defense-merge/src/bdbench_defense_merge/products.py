"""The exact mean of the products of LoRA adapters, as one adapter of a larger rank."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from bdbench.api import Checkpoint, InputError, NonFiniteError
from bdbench.toolkit.weights import PIECE, StoredTensor, TensorInfo, WeightWriter, copy_companions
from bdbench_defense_merge.adapters import CONFIG_FILE, FACTOR, Adapter, open_adapters
from bdbench_defense_merge.merging import weighted_total

__all__ = ["combine_products"]

_FILE = "adapter_model.safetensors"


def combine_products(
    models: Mapping[str, Checkpoint], weights: Sequence[float], folder: Path
) -> tuple[Checkpoint, dict[str, Any]]:
    """Writes the adapter whose change of the base is ``sum(w_i s_i B_i A_i) / sum(w_i)``.

    ``s_i`` is the adapter's own scaling. With the rows of all A_i below each other, and the
    columns of all ``B_i * (w_i s_i / sum(w))`` beside each other, one product of rank
    ``sum(r_i)`` is the sum of the products: exact but for the rounding of the scaled B. The new
    adapter's alpha equals its rank, so that PEFT scales it by 1. Tensors that are no factors (a
    trained head) are the weighted mean.

    Holds the factors of one module at a time.

    Args:
        models: The adapters, by the names that messages use.
        weights: One for each.
        folder: Must not exist yet. Gets tokenizer and descriptions of the first adapter, too.

    Returns:
        The adapter and facts for the record.

    Raises:
        InputError: The adapters do not correspond, or are of a kind that has no such sum.
        NonFiniteError: A tensor or the result holds NaN or infinity.
    """
    with ExitStack() as files:
        adapters = open_adapters(models, files)
        first = adapters[0]
        ranks = {name: sum(each.rank(name) for each in adapters) for name in first.modules()}
        planned = [_planned(tensor.info, ranks) for tensor in first.tensors]
        folder.mkdir(parents=True)
        copy_companions(first.folder, folder)
        text = json.dumps(_settings(first, ranks), indent=2)  # the order of patterns matters
        (folder / CONFIG_FILE).write_text(text + "\n", "utf-8")
        with WeightWriter(folder / _FILE, planned) as writer:
            for info in planned:
                for values in _merged(info.name, adapters, weights):
                    writer.write(info.name, _finite(values.to(info.dtype), info.name))
    notes = {
        "adapted_modules": len(ranks),
        "ranks": sorted(set(ranks.values())),
        "tensors": len(planned),
        "parameters": sum(info.numel for info in planned if info.dtype.is_floating_point),
    }
    return Checkpoint(folder), notes


def _merged(
    name: str, adapters: Sequence[Adapter], weights: Sequence[float]
) -> Iterator[torch.Tensor]:
    """The elements of a tensor, in order; a factor in one go."""
    parts, match = [adapter.tensors[name] for adapter in adapters], FACTOR.fullmatch(name)
    whole = math.fsum(weights)
    if match:
        factors = [part.read_finite().view(part.info.shape) for part in parts]
        if match["side"] == "A":
            yield torch.cat(factors)
            return
        scales = [
            adapter.scaling(match["module"]) * weight / whole
            for adapter, weight in zip(adapters, weights, strict=True)
        ]
        scaled = [factor * scale for factor, scale in zip(factors, scales, strict=True)]
        yield torch.cat(scaled, dim=1)
        return
    info = parts[0].info
    for start in range(0, info.numel, PIECE):
        place = start, min(start + PIECE, info.numel)
        if info.dtype.is_floating_point:
            values = [part.read_finite(*place) for part in parts]
            yield weighted_total(values, weights).div_(whole)
        else:
            values = [part.read(*place) for part in parts]
            _require_equal(parts, values)
            yield values[0]


def _require_equal(parts: Sequence[StoredTensor], values: Sequence[torch.Tensor]) -> None:
    for part, value in zip(parts, values, strict=True):
        if not torch.equal(value, values[0]):
            raise InputError(
                "the adapters differ in a tensor of whole numbers, which has no average",
                where=part.model,
                found=f"other values in {part.info.name!r}",
                expected=f"those of {parts[0].model}",
                next="use adapters that were made in the same way",
            )


def _finite(values: torch.Tensor, name: str) -> torch.Tensor:
    if values.is_floating_point() and not torch.isfinite(values).all():
        raise NonFiniteError(
            "weights hold NaN or infinity",
            where="the result",
            found=f"in tensor {name!r}",
            expected="finite numbers only",
            next="use smaller weights, or adapters saved in fp32",
        )
    return values


def _planned(info: TensorInfo, ranks: Mapping[str, int]) -> TensorInfo:
    match = FACTOR.fullmatch(info.name)
    if match is None:
        return info
    rank, (rows, columns) = ranks[match["module"]], info.shape
    shape = (rank, columns) if match["side"] == "A" else (rows, rank)
    return TensorInfo(info.name, info.dtype, shape)


def _settings(first: Adapter, ranks: Mapping[str, int]) -> dict[str, Any]:
    """The first adapter's settings with the new ranks, each alpha equal to its rank."""
    largest = max(ranks.values())
    patterns: dict[str, int] = {}
    if len(set(ranks.values())) > 1:
        names = {first.base_name(module): rank for module, rank in ranks.items()}
        # PEFT takes the first key that a module's name ends with: the whole name, if longest
        # come first.
        patterns = dict(sorted(names.items(), key=lambda item: (-len(item[0]), item[0])))
    return {
        **first.settings,
        "r": largest,
        "lora_alpha": largest,
        "use_rslora": False,
        "rank_pattern": patterns,
        "alpha_pattern": patterns,
    }
