"""From what a suite writes to a component's validated configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bdbench.api.config import ComponentConfig
from bdbench.api.errors import InputError
from bdbench.host.catalog import Host
from bdbench.host.plugins import Component

__all__ = ["configure", "validate"]

M = TypeVar("M", bound=BaseModel)


WORDS = {
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list, such as [a, b]",
    "missing": "a value",
    "model_type": "keys with values",
    "path_type": "a path",
    "string_type": "text",
}
"""What pydantic asks for, by its kind of error, as somebody who writes YAML would say it."""


class NoConfig(ComponentConfig):
    """The configuration of a component that has nothing to set."""


def configure(
    host: Host, component: Component, values: Mapping[str, Any], *, where: str
) -> ComponentConfig:
    """Validates what a suite sets for a component and fills in the defaults.

    Raises:
        InputError: A key or value does not fit; names the key and what was expected.
    """
    model: type[ComponentConfig] = host.load_config(component) or NoConfig
    return validate(model, values, where=where, hint=f"bdbench show {component.spec.name}")


def validate(model: type[M], values: Mapping[str, Any], *, where: str, hint: str) -> M:
    """Validates strictly, as JSON: text for a path or an enum is fine, text for a number is not.

    Args:
        model: What the values must fit.
        values: Plain data.
        where: Where they stand, for the message.
        hint: A command that tells what may be set.

    Raises:
        InputError: With the first thing that does not fit.
    """
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise _explain(model, error.errors(), where=where, hint=hint) from None
    except InputError as error:
        # A validator knows what it is about, but not where that stands.
        error.where = ": ".join(filter(None, [where, error.where]))
        raise


def _explain(model: type[BaseModel], errors: list[Any], *, where: str, hint: str) -> InputError:
    # Whoever wrote `model:` lacks `models`, too: the key that is there shows what was meant.
    error = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    location = [str(part) for part in error["loc"]]
    place = ".".join([*([where] if where else []), *location])
    more = f" ({len(errors) - 1} more after it)" if len(errors) > 1 else ""
    if error["type"] == "extra_forbidden":
        known = list(_fields(model, location[:-1]))
        close = get_close_matches(location[-1], known, n=1)
        return InputError(
            f"unknown key {location[-1]!r}{more}",
            where=place,
            expected=f"one of {', '.join(known)}" if known else "no settings at all",
            next=f"write {close[0]!r}" if close else f"see `{hint}`",
        )
    value = error["input"]
    found = json.dumps(value) if isinstance(value, bool) else repr(value)
    if value is None or error["type"] == "missing":
        found = "nothing"
    # pydantic prefixes what a validator of ours raised.
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = WORDS.get(error["type"], message)
    return InputError(
        f"a setting does not fit{more}",
        where=place,
        found=found if len(found) < 200 else found[:200] + " ...",
        expected=message[0].lower() + message[1:],
        next=f"see `{hint}`",
    )


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        field = model.model_fields.get(name)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
