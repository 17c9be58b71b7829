"""The weights that a victim shares with the pre-trained model: all but its task head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdbench.api import Checkpoint, Engine, InputError
from bdbench.toolkit.weights import WeightReader, check_mergeable

if TYPE_CHECKING:
    import torch

__all__ = ["Body", "read_body"]

_NAMES = ("victim", "base weights")


@dataclass(frozen=True, slots=True)
class Body:
    """What can be put back.

    Attributes:
        base: The pre-trained values of the body's weights, by parameter name, where the model
            runs.
        kept: The names of the weights that have no pre-trained values: the task head.
        size: How many numbers the body has.
    """

    base: Mapping[str, torch.Tensor]
    kept: tuple[str, ...]
    size: int

    def weights(self, module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """The body's weights in a model like the victim, by name; tied ones once."""
        return ((name, weight) for name, weight in module.named_parameters() if name in self.base)


def read_body(victim: Checkpoint, base: Checkpoint, keep: Sequence[str], engine: Engine) -> Body:
    """Checks both models and takes the pre-trained weights of the body.

    Args:
        victim: The model to repair.
        base: What it was trained from, with a head of the same shape.
        keep: Which weights are the head: whole names, or their beginnings up to a dot.
        engine: Loads the base.

    Raises:
        InputError: The models do not correspond, or no weight is the head, or every one is.
        NonFiniteError: One of the models holds NaN or infinity.
    """
    check_mergeable([victim, base], _NAMES)
    for checkpoint, name in zip((victim, base), _NAMES, strict=True):
        _check_finite(checkpoint, name)
    weights = {name: weight.detach() for name, weight in engine.load(base).named_parameters()}
    kept = tuple(name for name in weights if any(_begins(name, start) for start in keep))
    if bool(kept) != bool(keep) or len(kept) == len(weights):
        tops = dict.fromkeys(name.partition(".")[0] for name in weights)
        raise InputError(
            "the task head cannot be told from the body",
            where="keep",
            found=f"{len(kept)} of {len(weights)} weights that begin with one of {list(keep)}",
            expected="some of them, not all",
            next=f"set `keep` to what the head is called; the parts are {', '.join(tops)}"
            " (an empty list mixes them all)",
        )
    body = {name: weight for name, weight in weights.items() if name not in kept}
    return Body(base=body, kept=kept, size=sum(weight.numel() for weight in body.values()))


def _begins(name: str, start: str) -> bool:
    return f"{name}.".startswith(f"{start.removesuffix('.')}.")


def _check_finite(checkpoint: Checkpoint, name: str) -> None:
    with WeightReader(checkpoint, name) as reader:
        for stored in reader:
            if stored.info.dtype.is_floating_point:
                stored.read_finite()
