"""Which tensor of a checkpoint is which parameter of the model that is loaded from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.weights import WeightReader

if TYPE_CHECKING:
    import torch

__all__ = ["stored_parameters"]


def stored_parameters(
    module: torch.nn.Module, checkpoint: Checkpoint, model: str
) -> dict[str, torch.nn.Parameter]:
    """The parameters by the names of their tensors in the files.

    A parameter that the module holds in several places (tied weights) is found by whichever of
    its names the files use.

    Args:
        module: Loaded from the checkpoint.
        checkpoint: The files.
        model: What messages call it.

    Raises:
        InputError: A parameter has no tensor of one of its names and its shape.
    """
    named = dict(module.named_parameters(remove_duplicate=False))
    with WeightReader(checkpoint, model) as reader:
        stored = {
            name: parameter
            for name, parameter in named.items()
            if name in reader.tensors and reader[name].info.shape == tuple(parameter.shape)
        }
    known = {id(parameter) for parameter in stored.values()}
    unknown = [name for name, parameter in named.items() if id(parameter) not in known]
    if unknown:
        raise InputError(
            "the tensors in the files are not the parameters of the loaded model",
            where=f"{model}: {checkpoint.folder}",
            found=f"no tensor of the name and shape of {unknown[0]!r} ({len(unknown)} such)",
            expected="each parameter under its own name",
            next="load the model and save it again, or use a method that needs no clean rows",
        )
    return stored
