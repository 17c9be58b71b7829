"""Merging weighted by Fisher information (Matena and Raffel 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from bdbench.api import Checkpoint, DefenderView, InputError, NonFiniteError
from bdbench.toolkit.weights import PIECE, Rule, Step, StoredTensor, WeightReader
from bdbench_defense_merge.merging import Merging, total, weighted_total
from bdbench_defense_merge.side_files import open_side_file
from bdbench_defense_merge.stored import stored_parameters

__all__ = ["fisher", "fisher_information"]


def fisher(
    merging: Merging, *, weights: Sequence[float] | None, normalise: bool, floor: float
) -> Rule:
    """``sum(w_i F_i theta_i) / sum(w_i F_i)``, element by element.

    ``F_i`` is the diagonal of model i's Fisher information on the clean rows, see
    `fisher_information`; with `normalise` divided by its Euclidean norm over all elements.
    Every F is at least `floor` times the mean of all of them, so that where no model has any
    information the result is the mean of the models by `weights`. So are buffers, which have no
    gradient.

    Args:
        merging: The models.
        weights: One for each model; all 1 if None.
        normalise: Whether each model's F is brought to norm 1.
        floor: A share of the mean of F over models and elements.

    Raises:
        InputError: The task has no classes.
        NonFiniteError: A gradient is NaN or infinite.
    """
    shares = [1.0] * len(merging.models) if weights is None else list(weights)
    stored = [
        open_side_file(
            fisher_information(model, merging.view, name),
            merging.view.workspace / "fisher" / str(number),
            f"Fisher information of {name}",
            merging.files,
        )
        for number, (name, model) in enumerate(merging.models.items())
    ]
    sums = [_sums(reader) for reader in stored]
    merging.notes["mean_fisher"] = [linear / count for linear, _, count in sums]
    norms = [math.sqrt(square) or 1.0 for _, square, _ in sums] if normalise else [1.0] * len(sums)
    means = [linear / norm / count for (linear, _, count), norm in zip(sums, norms, strict=True)]
    mean = math.fsum(means) / len(means)
    # In units of the mean: no product can then leave the range of fp32.
    scales = [1 / norm / mean if mean else 0.0 for norm in norms]

    def rule(parts: Sequence[StoredTensor]) -> Step:
        name, done = parts[0].info.name, 0
        if name not in stored[0].tensors:
            return lambda values: weighted_total(values, shares).div_(math.fsum(shares))

        def step(values: Sequence[torch.Tensor]) -> torch.Tensor:
            nonlocal done
            start, done = done, done + len(values[0])
            factors = [
                reader[name].read(start, done).mul_(scale).clamp_(min=floor).mul_(share)
                for reader, scale, share in zip(stored, scales, shares, strict=True)
            ]
            weighted = [value * factor for value, factor in zip(values, factors, strict=True)]
            return total(weighted).div_(total(factors))

        return step

    return rule


def fisher_information(
    checkpoint: Checkpoint, view: DefenderView, model: str
) -> dict[str, torch.Tensor]:
    """The diagonal of the Fisher information, by tensor, in fp32 and the tensor's shape.

    The mean over the clean rows x of ``sum_c p(c|x) (d log p(c|x) / d theta)^2``: the exact
    expectation under the model's own predictions, so that the labels of the
    rows play no part. Row by row, without dropout.

    The gradients of all classes, weighted by their probabilities, sum to zero, so that the one
    of the likeliest class follows from the others: each row costs one pass fewer, forwards and
    backwards, than there are classes.

    Args:
        checkpoint: The model.
        view: Brings rows and engine.
        model: What messages call it.
    """
    classes = range(len(view.task.classes))
    if len(classes) < 2:
        raise InputError(
            "Fisher information is computed over the classes of the answer",
            where="merge",
            found=f"a task of {len(classes)} classes, {view.task.name}",
            expected="two or more",
            next="choose another method",
        )
    module = view.engine.load(checkpoint)
    parameters = stored_parameters(module, checkpoint, model)
    sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    predicted = view.engine.predict(module, checkpoint, view.clean_rows)["prediction"]
    rows = view.clean_rows.with_labels([int(label) for label in predicted])
    order = view.seeds.child("fisher")
    for inputs, (likeliest,) in view.engine.batches(checkpoint, rows, 1, order):
        left, rest = 1.0, dict[str, torch.Tensor]()
        for label in classes:
            if label == likeliest:
                continue
            loss = view.engine.loss(module, inputs, [label]).sum()
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            chance = math.exp(-loss.item())
            left -= chance
            for name, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    sums[name].addcmul_(gradient, gradient, value=chance)
                    part = gradient * chance
                    rest[name] = rest[name].add_(part) if name in rest else part
        for name, value in rest.items():
            sums[name].addcmul_(value, value, value=1 / left)
    _require_finite(sums.items(), model)
    return {name: value.div_(len(rows)) for name, value in sums.items()}


def _require_finite(sums: Iterable[tuple[str, torch.Tensor]], model: str) -> None:
    for name, value in sums:
        if not torch.isfinite(value).all():
            raise NonFiniteError(
                "the gradients on the clean rows are not finite",
                where=model,
                found=f"NaN or infinity in those of {name!r}",
                expected="finite numbers",
                next="look at the model, or set training.precision: fp32",
            )


def _sums(reader: WeightReader) -> tuple[float, float, int]:
    """The sum of all elements, that of their squares, and how many there are."""
    linear, square, count = [], [], 0
    for tensor in reader:
        count += tensor.info.numel
        for start in range(0, tensor.info.numel, PIECE):
            values = tensor.read(start, min(start + PIECE, tensor.info.numel)).double()
            linear.append(float(values.sum()))
            square.append(float(values.square().sum()))
    return math.fsum(linear), math.fsum(square), count
