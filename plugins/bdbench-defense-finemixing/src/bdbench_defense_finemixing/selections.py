"""Which weights keep the victim's value.

Every number of the body gets a score; those with a score below a limit keep the victim's value,
the others get the pre-trained one. What is kept with a small rho is therefore part of what is
kept with a larger one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from bdbench.api import SeedStream

if TYPE_CHECKING:
    from bdbench_defense_finemixing.body import Body

__all__ = ["AtRandom", "LeastChanged", "LeastSuspicious", "MostChanged", "Selection"]


class Selection(Protocol):
    """A way to choose."""

    def scores(self, name: str, change: torch.Tensor) -> torch.Tensor:
        """A number for each element of a weight, of the same shape.

        Args:
            name: The weight.
            change: Victim minus pre-trained.
        """
        ...

    def limit(self, rho: float, body: Body, victim: torch.nn.Module) -> float:
        """The score from which on an element gets its pre-trained value."""
        ...


@dataclass(frozen=True, slots=True)
class AtRandom:
    """Each element for itself, with chance rho (Fine-mixing).

    Attributes:
        seeds: The numbers of a weight come from the child of its name, on the CPU, so that
            they are the same on every device.
    """

    seeds: SeedStream

    def scores(self, name: str, change: torch.Tensor) -> torch.Tensor:
        """Uniform in [0, 1)."""
        generator = torch.Generator().manual_seed(self.seeds.child(name).seed())
        return torch.rand(change.shape, generator=generator).to(change.device)

    def limit(self, rho: float, body: Body, victim: torch.nn.Module) -> float:  # noqa: ARG002
        """Rho itself."""
        return rho


class _Ranked(ABC):
    """The share rho of lowest scores in the whole body together."""

    @abstractmethod
    def scores(self, name: str, change: torch.Tensor) -> torch.Tensor: ...

    def limit(self, rho: float, body: Body, victim: torch.nn.Module) -> float:
        """The lowest score that is not among the ``round(rho * n)`` lowest of n; exact."""
        kept = round(rho * body.size)
        if kept == body.size:
            return math.inf
        ordered = np.empty(body.size, dtype=np.float32)
        start = 0
        for name, weight in body.weights(victim):
            scores = self.scores(name, weight.detach() - body.base[name])
            ordered[start : start + scores.numel()] = scores.flatten().cpu().numpy()
            start += scores.numel()
        ordered.partition(kept)
        return float(ordered[kept])


class LeastChanged(_Ranked):
    """What training changed least (one reading of Fine-mixing with selection)."""

    def scores(self, name: str, change: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """``|victim - base|``."""
        return change.abs()


class MostChanged(_Ranked):
    """What training changed most (the other reading)."""

    def scores(self, name: str, change: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """``-|victim - base|``."""
        return -change.abs()


@dataclass(frozen=True, slots=True)
class LeastSuspicious(_Ranked):
    """What changed least for how much the clean rows ask of it (Fine-purifying).

    Attributes:
        curvature: H, the estimated diagonal of the Hessian, by weight.
        damping: Keeps the quotient finite where H is zero.
    """

    curvature: Mapping[str, torch.Tensor]
    damping: float

    def scores(self, name: str, change: torch.Tensor) -> torch.Tensor:
        """``(victim - base)^2 / (H + damping)``."""
        return change.square() / (self.curvature[name] + self.damping)
