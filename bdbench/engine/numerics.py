"""Arithmetic: device, autocast, determinism."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open

from bdbench.api import Checkpoint, NonFiniteError

__all__ = [
    "autocast",
    "check_finite_weights",
    "check_weight_files",
    "device",
    "seeded",
    "settle",
    "share_changed",
]


def settle() -> None:
    """One thread, and deterministic algorithms where there are any.

    Two one-thread processes do more than one process with two threads, and the number of
    threads changes the last digits of sums.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)


def device() -> torch.device:
    """Where models run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def autocast(precision: str) -> Iterator[None]:
    """Autocast to bf16 where the suite's precision says so."""
    with torch.autocast(device().type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        yield


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sets torch's global generator for a block (dropout draws from it) and puts it back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def check_finite_weights(module: torch.nn.Module, where: str) -> None:
    """Refuses NaN and infinity.

    Raises:
        NonFiniteError: Names the first tensor that has one.
    """
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise NonFiniteError(
                "weights are not finite",
                where=f"{where}: {name}",
                found=f"{bad} of {tensor.numel()} values NaN or infinite",
                expected="finite numbers",
                next="lower the learning rate, or look at the checkpoint",
            )


def check_weight_files(checkpoint: Checkpoint, where: str) -> None:
    """Refuses NaN and infinity in a checkpoint's files; a NaN has every comparison false.

    Raises:
        NonFiniteError: Names the first tensor that has one.
    """
    for path in checkpoint.weight_files():
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 -- not a mapping
                tensor = file.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise NonFiniteError(
                        "weights are not finite",
                        where=f"{where}: {name} in {path.name}",
                        found="NaN or infinite values",
                        expected="finite numbers",
                    )


def share_changed(before: Checkpoint, after: Checkpoint) -> float:
    """The share of all weights that are not what they were."""
    places: dict[str, Path] = {}
    for path in before.weight_files():
        with safe_open(path, framework="pt") as file:
            places |= dict.fromkeys(file.keys(), path)
    changed = total = 0
    for path in after.weight_files():
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 -- not a mapping
                new = file.get_tensor(name)
                total += new.numel()
                if name not in places:
                    changed += new.numel()
                    continue
                with safe_open(places[name], framework="pt") as old_file:
                    old = old_file.get_tensor(name)
                if old.shape != new.shape:  # an adapter of another rank
                    changed += new.numel()
                    continue
                changed += int((old.to(torch.float32) != new.to(torch.float32)).sum())
    return changed / total
