"""The contract with plugins: what they may import is what `api.json` says, name by name.

That is `bdbench.api`, `bdbench.testing` (with its fixtures and the names of its checks, which
lists of expected failures hold), and `bdbench.toolkit`, by names alone. Of these `API_VERSION` is
about `bdbench.api`; the other two go with bdbench's own version.

A change here can break plugins that others have written. If it is meant: raise `API_VERSION`
(the minor number for additions, the major one for everything else), write the file anew with

    BDBENCH_UPDATE_CONTRACT=1 pytest tests/contract

and read the difference before committing it.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import get_origin

import pluggy
import pytest
from pydantic import BaseModel

from bdbench import api, testing, toolkit
from bdbench.api import hooks
from bdbench.testing import plugin

GOLDEN = Path(__file__).with_name("api.json")


def signature(function):
    return re.sub(r"<(\S+): \S+>", r"\1", str(inspect.signature(function)))


def describe(found):
    """A public name as plain data: everything of it that a plugin can come to rely on."""
    if inspect.isfunction(found):
        return f"function {signature(found)}"
    if not inspect.isclass(found):
        plain = isinstance(found, int | str) or get_origin(found)
        return repr(found) if plain else type(found).__name__
    description = {"bases": [base.__name__ for base in found.__bases__ if base is not object]}
    if issubclass(found, enum.Enum):
        description["members"] = {name: item.value for name, item in found.__members__.items()}
        return description
    if issubclass(found, BaseModel):
        description["settings"] = dict(settings(found))
    elif dataclasses.is_dataclass(found):
        description["fields"] = signature(found)
    description["methods"] = dict(methods(found))
    return {key: value for key, value in description.items() if value}


def settings(model):
    for name, annotation in model.__annotations__.items():
        if field := model.model_fields.get(name):
            limits = "".join(f", {limit}" for limit in field.metadata)
            yield name, f"{annotation} = {field.default!r}{limits}"


def methods(found):
    made = dataclasses.is_dataclass(found) or getattr(found, "_is_protocol", False)
    for name, member in vars(found).items():
        if name.startswith("_") and name != "__call__" and (made or name != "__init__"):
            continue
        abstract = "abstract " if getattr(member, "__isabstractmethod__", False) else ""
        if isinstance(member, property):
            yield name, f"{abstract}property -> {member.fget.__annotations__['return']}"
        elif isinstance(member, cached_property):
            yield name, f"property -> {member.func.__annotations__['return']}"
        elif inspect.isfunction(member):
            yield name, abstract + signature(member)


def hookspecs():
    return {
        name: function
        for name, function in vars(hooks).items()
        if inspect.isfunction(function) and hasattr(function, "bdbench_spec")
    }


def contract():
    return {
        "about": "Written by tests/contract/test_api.py, which says when and how to change it.",
        "version": api.API_VERSION,
        "entry_point_group": hooks.ENTRY_POINT_GROUP,
        "hooks": {
            name: {
                "signature": signature(function),
                "options": {key: value for key, value in function.bdbench_spec.items() if value},
            }
            for name, function in hookspecs().items()
        },
        "names": {name: describe(getattr(api, name)) for name in api.__all__},
        "testing": {name: describe(getattr(testing, name)) for name in testing.__all__},
        "fixtures": sorted(plugin.__all__),
        "checks": sorted(testing.CHECKS),
        "toolkit": dict(toolkit_names()),
    }


def toolkit_names():
    """Public names by module; read, not imported, since some import torch."""
    folder = Path(toolkit.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                module = ".".join(path.relative_to(folder).with_suffix("").parts)
                yield module.removesuffix(".__init__"), ast.literal_eval(node.value)


def test_the_contract_is_what_was_agreed():
    found = contract()
    if os.environ.get("BDBENCH_UPDATE_CONTRACT"):
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    agreed = json.loads(GOLDEN.read_text("utf-8"))

    for part in ("hooks", "names", "testing", "toolkit"):
        for name in sorted({*found[part], *agreed[part]}):
            assert found[part].get(name) == agreed[part].get(name), f"{part}: {name}: {__doc__}"
    # Names in their order, and all the rest.
    assert json.dumps(found) == json.dumps(agreed)


def test_there_are_thirteen_hooks_each_with_a_word_on_it():
    assert len(hookspecs()) == 13
    assert "thirteen hooks" in hooks.__doc__
    assert all(function.__doc__ for function in hookspecs().values())


def test_pluggy_knows_every_hook_by_the_prefix():
    manager = pluggy.PluginManager("bdbench")
    manager.add_hookspecs(hooks)

    known = {name for name in vars(manager.hook) if not name.startswith("_")}
    assert known == set(hookspecs())
    assert all(name.startswith("bdbench_") for name in known)


def test_registration_hooks_take_nothing_and_observers_one_event():
    for name, function in hookspecs().items():
        expected = [] if name.startswith("bdbench_register_") else ["event"]
        assert list(inspect.signature(function).parameters) == expected


def test_the_host_asks_every_registration_hook():
    from bdbench.host.plugins import REGISTRATION_HOOKS

    registering = {name for name in hookspecs() if name.startswith("bdbench_register_")}
    assert set(REGISTRATION_HOOKS) == registering


def test_public_names_are_sorted_and_there():
    assert api.__all__ == sorted(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_every_public_class_and_function_is_documented(name):
    found = getattr(api, name)
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        return
    assert inspect.getdoc(found)
    for member, value in vars(found).items():
        if inspect.isfunction(value) and not member.startswith("_"):
            assert value.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("name", ["ComponentConfig", "PoisonConfig", "DefenseConfig", "Recipe"])
def test_every_public_setting_is_described(name):
    for key, field in getattr(api, name).model_fields.items():
        assert field.description, f"{name}.{key}"


def test_every_setting_of_an_installed_component_is_described(toy_host):
    for component in toy_host.components():
        model = toy_host.load_config(component)
        for key, field in (model.model_fields if model else {}).items():
            assert field.description, f"{component.full_name}.{key}"
