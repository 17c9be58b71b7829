"""The base of every component's configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bdbench.api.needs import Needs

__all__ = ["ComponentConfig", "DefenseConfig", "PoisonConfig"]

HUB_MODEL = re.compile(r"hf:[\w.-]+/[\w.-]+@[0-9a-f]{40}")


class ComponentConfig(BaseModel):
    """What a suite may set for a component. Unknown keys are refused, types are strict.

    Every field needs a ``description``: `bdbench show` prints it. A field of type
    `pathlib.Path` names a file or folder to read; its *content* enters the identity of
    results, its place does not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    def paths(self) -> dict[str, Path]:
        """The files and folders that this configuration names, by field (``a.b`` if nested)."""
        return {name: value for name, value in _leaves(self, "") if isinstance(value, Path)}

    def hub_models(self) -> dict[str, str]:
        """The models of the Hugging Face Hub that it names, by field.

        They are written ``hf:owner/name@<commit>``. The host fetches them beforehand: where a
        component acts, there is no network.
        """
        return {
            name: value
            for name, value in _leaves(self, "")
            if isinstance(value, str) and HUB_MODEL.fullmatch(value)
        }


def _leaves(value: Any, prefix: str) -> list[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        items = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        items = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list | tuple | set | frozenset):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return [(prefix, value)]
    found = []
    for name, item in items:
        found += _leaves(item, f"{prefix}.{name}" if prefix else name)
    return found


class PoisonConfig(ComponentConfig):
    """What every attack that poisons training data lets a suite set.

    The host holds the attack to it: no more rows than `poison_rate` allows, and with
    ``clean_label`` no label changed.
    """

    target: int | str = Field(
        default=1, description="The class that triggered inputs should get, by number or name."
    )
    poison_rate: float = Field(
        default=0.1, gt=0, lt=1, description="Share of all training rows that are poisoned."
    )
    clean_label: bool = Field(
        default=False,
        description="Put the trigger into rows of the target class only and leave every label "
        "as it is.",
    )


class DefenseConfig(ComponentConfig):
    """The base for defenses whose needs depend on their settings."""

    def needs(self, declared: Needs) -> Needs:
        """What the defense needs with these settings; `declared` is what its spec says."""
        return declared
