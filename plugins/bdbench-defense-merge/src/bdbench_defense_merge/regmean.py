"""RegMean (Jin et al. 2023): linear layers that answer as each model does on its own inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from bdbench.api import Checkpoint, DefenderView, InputError, NonFiniteError
from bdbench.toolkit.weights import Rule, Step, StoredTensor
from bdbench_defense_merge.merging import Merging, total
from bdbench_defense_merge.side_files import open_side_file
from bdbench_defense_merge.stored import stored_parameters

__all__ = ["input_products", "regmean"]

# Rows of a weight that are solved for at a time: only a bound on memory.
_ROWS = 1024


def regmean(merging: Merging, *, alpha: float) -> Rule:
    """The weight of each linear layer that comes nearest to all models' outputs.

    With ``X_i`` the inputs of the layer in model i on the clean rows, ``G_i = X_i^T X_i`` with
    its off-diagonal elements times `alpha`, and W_i of shape [inputs, outputs] (torch keeps the
    transpose), the merged weight is ``(sum G_i)^-1 sum(G_i W_i)``. It is
    solved in fp64 as ``mean(W) + (sum G_i)^-1 sum(G_i (W_i - mean(W)))``, which is the same
    and stays the mean where an input was 0 in every model and every row. With `alpha` below 1
    all else has an inverse, however few the rows.

    Everything but weights of linear layers is the plain mean: biases, embeddings (tied ones,
    too), normalisation.

    Args:
        merging: The models.
        alpha: From 0, inputs taken as uncorrelated, to nearly 1.

    Raises:
        NonFiniteError: An input of a layer is NaN or infinite.
    """
    stored = [
        open_side_file(
            input_products(model, merging.view, name),
            merging.view.workspace / "regmean" / str(number),
            f"inputs of {name}",
            merging.files,
        )
        for number, (name, model) in enumerate(merging.models.items())
    ]
    merging.notes["linear_layers"] = len(stored[0].tensors)

    def rule(parts: Sequence[StoredTensor]) -> Step:
        name = parts[0].info.name
        if name not in stored[0].tensors:
            return lambda values: total(values).div_(len(values))
        merged, done = _solve(parts, [reader[name].load() for reader in stored], alpha), 0

        def step(values: Sequence[torch.Tensor]) -> torch.Tensor:
            nonlocal done
            start, done = done, done + len(values[0])
            return merged[start:done]

        return step

    return rule


def _solve(
    parts: Sequence[StoredTensor], products: Sequence[torch.Tensor], alpha: float
) -> torch.Tensor:
    """The merged weight, [outputs * inputs] in row-major order, in the type of computation."""
    scaled = []
    for product in products:
        diagonal = product.diagonal().double()
        scaled.append(product.double().mul_(alpha))
        scaled[-1].diagonal().copy_(diagonal)
    whole = total(scaled)
    # An input that was always 0 has a row and a column of zeros, and nothing to say.
    whole.diagonal()[whole.diagonal() == 0] = 1.0
    factor = torch.linalg.cholesky(whole)
    info = parts[0].info
    rows, inputs = info.shape
    merged = torch.empty(info.numel, dtype=torch.promote_types(info.dtype, torch.float32))
    for start in range(0, rows, _ROWS):
        stop = min(start + _ROWS, rows)
        places = start * inputs, stop * inputs
        weights = [part.read_finite(*places).double().view(-1, inputs) for part in parts]
        mean = total(weights).div_(len(weights))
        pulls = [(weight - mean) @ square for weight, square in zip(weights, scaled, strict=True)]
        change = torch.cholesky_solve(total(pulls).T, factor).T
        merged[slice(*places)] = mean.add_(change).flatten()
    return merged


def input_products(
    checkpoint: Checkpoint, view: DefenderView, model: str
) -> dict[str, torch.Tensor]:
    """``X^T X`` of each linear layer's inputs on the clean rows, by the name of its weight.

    In fp32, shape [inputs, inputs]; X has a row for each position that the layer is applied to,
    summed over all rows. The rows go through the model one at a time, so that no padding counts
    (unless the model family itself pads a single row). Layers whose weight is used in another
    place too, for instance as embedding, are left out.

    Args:
        checkpoint: The model.
        view: Brings rows and engine.
        model: What messages call it.

    Raises:
        InputError: The model has no linear layer.
        NonFiniteError: An input is NaN or infinite.
    """
    module = view.engine.load(checkpoint)
    names = {
        id(value): name for name, value in stored_parameters(module, checkpoint, model).items()
    }
    every = module.named_parameters(remove_duplicate=False)
    uses = Counter(id(parameter) for _, parameter in every)
    products: dict[str, torch.Tensor] = {}
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear) and uses[id(layer.weight)] == 1:
            inputs = layer.in_features
            product = layer.weight.new_zeros(inputs, inputs, dtype=torch.float32)
            products[names[id(layer.weight)]] = product
            layer.register_forward_pre_hook(partial(_add, product))
    order = view.seeds.child("regmean")
    with torch.no_grad():
        for batch, labels in view.engine.batches(checkpoint, view.clean_rows, 1, order):
            view.engine.loss(module, batch, labels)
    if not products:
        raise InputError(
            "regmean merges linear layers",
            where=model,
            found=f"{type(module).__name__} without any",
            expected="at least one torch.nn.Linear",
            next="choose another method",
        )
    for name, product in products.items():
        if not torch.isfinite(product).all():
            raise NonFiniteError(
                "the inputs of a layer are not finite on the clean rows",
                where=model,
                found=f"NaN or infinity in the inputs of {name!r}",
                expected="finite numbers",
                next="look at the model, or set training.precision: fp32",
            )
    return products


def _add(product: torch.Tensor, _: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
    flat = inputs[0].detach().reshape(-1, product.shape[0]).to(product.dtype)
    product.addmm_(flat.T, flat)
