"""A new checkpoint from several, tensor by tensor, in bounded memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.weights.companions import copy_companions
from bdbench.toolkit.weights.compatible import check_mergeable
from bdbench.toolkit.weights.reader import PIECE, StoredTensor, WeightReader, require_finite
from bdbench.toolkit.weights.writer import WeightWriter

__all__ = ["Combined", "Rule", "Step", "combine", "elementwise"]

Step = Callable[[Sequence[torch.Tensor]], torch.Tensor]
"""Takes the same elements of one tensor from each model, each of shape [n] in fp32 (fp64 where
stored so), and gives the new ones, shape [n]. Must leave its arguments as they are."""

Rule = Callable[[Sequence[StoredTensor]], Step]
"""Called once for each floating tensor, with the tensor of each model. It may read them (for a
norm, say); the step that it gives is then called for piece after piece, in order."""

# Counts training steps, plays no part in a forward pass, and differs between any two models
# that were trained on sets of different size.
_STEP_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Combined:
    """A checkpoint that `combine` wrote.

    Attributes:
        checkpoint: The new folder.
        tensors: How many floating tensors it has.
        changed_tensors: How many of them differ from the first model's.
        parameters: How many elements the floating tensors have.
        changed_parameters: How many of them differ from the first model's as they are stored.
    """

    checkpoint: Checkpoint
    tensors: int
    changed_tensors: int
    parameters: int
    changed_parameters: int


def elementwise(step: Step) -> Rule:
    """The rule that does the same to every tensor."""
    return lambda _: step


def combine(
    checkpoints: Sequence[Checkpoint],
    folder: Path,
    rule: Rule,
    *,
    names: Sequence[str],
    piece: int = PIECE,
) -> Combined:
    """Writes a checkpoint whose floating tensors `rule` makes from those of `checkpoints`.

    Everything else is the first model's: the layout of its shards, tensors of other types
    (which must be the same in all models, but for BatchNorm's count of training steps) and, of
    its other files, configuration, tokenizer, chat templates and descriptions. Nothing else is
    copied, and no subfolder: code, pickles, weights in other formats.

    Peak memory is a few pieces for each model, however large a tensor is.

    Args:
        checkpoints: The models, checked by `check_mergeable` first.
        folder: Must not exist yet.
        rule: How to compute; its results are cast back to the tensor's type.
        names: What messages call each model.
        piece: The most elements that are worked on at a time. Not to change any result: rules
            that are not elementwise take what they need from the stored tensors beforehand.

    Raises:
        InputError: The models do not correspond, or their other tensors differ.
        NonFiniteError: A model or the result holds NaN or infinity.
    """
    check_mergeable(checkpoints, names)
    folder.mkdir(parents=True)
    copy_companions(checkpoints[0].folder, folder)
    for index in checkpoints[0].folder.glob("*.safetensors.index.json"):
        shutil.copyfile(index, folder / index.name)  # the shards are the same
    changed: dict[str, int] = {}
    with ExitStack() as stack:
        models = [
            stack.enter_context(WeightReader(checkpoint, name))
            for checkpoint, name in zip(checkpoints, names, strict=True)
        ]
        for path, header in models[0].files.items():
            with WeightWriter(folder / path.name, header.tensors, header.metadata) as writer:
                for info in header.tensors:
                    parts = [model[info.name] for model in models]
                    if info.dtype.is_floating_point:
                        changed[info.name] = _compute(parts, rule(parts), writer, piece)
                    else:
                        _copy(parts, writer, piece)
        parameters = sum(models[0][name].info.numel for name in changed)
    return Combined(
        checkpoint=Checkpoint(folder),
        tensors=len(changed),
        changed_tensors=sum(count > 0 for count in changed.values()),
        parameters=parameters,
        changed_parameters=sum(changed.values()),
    )


def _compute(parts: Sequence[StoredTensor], step: Step, writer: WeightWriter, piece: int) -> int:
    """Writes one tensor; returns how many of its elements differ from the first model's."""
    info, changed = parts[0].info, 0
    for start in range(0, info.numel, piece):
        stop = min(start + piece, info.numel)
        stored = [part.read(start, stop) for part in parts]
        result = step([part.widen(values) for part, values in zip(parts, stored, strict=True)])
        result = result.to(info.dtype).contiguous()
        require_finite(result, info.name, "the result", advice="use smaller factors")
        changed += _count_differences(result, stored[0])
        writer.write(info.name, result)
    return changed


def _copy(parts: Sequence[StoredTensor], writer: WeightWriter, piece: int) -> None:
    info = parts[0].info
    others = () if info.name.endswith(_STEP_COUNTER) else parts[1:]
    for start in range(0, info.numel, piece):
        stop = min(start + piece, info.numel)
        values = parts[0].read(start, stop)
        for other in others:
            if _count_differences(values, other.read(start, stop)):
                raise InputError(
                    "the models differ in a tensor of whole numbers, which has no average",
                    where=other.model,
                    found=f"other values in {info.name!r} ({info.dtype})",
                    expected=f"those of {parts[0].model}",
                    next="use models that were made in the same way and are not quantised",
                )
        writer.write(info.name, values)


def _count_differences(one: torch.Tensor, other: torch.Tensor) -> int:
    # As whole numbers and in numpy: ten times faster than torch's comparison of bf16.
    kind = f"i{one.dtype.itemsize}"
    pair = (tensor.view(torch.uint8).numpy().view(kind) for tensor in (one, other))
    return int(np.count_nonzero(np.not_equal(*pair)))
