"""``bdbench show``: explain a component, a preset, or what a suite may set."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, get_args

import click
from pydantic import BaseModel, ValidationError

from bdbench.api import (
    AttackSpec,
    ComponentConfig,
    DefenseConfig,
    DefenseSpec,
    Direction,
    MetricSpec,
    PluginError,
)
from bdbench.cli.listing import KINDS
from bdbench.cli.options import as_json, common, echo_json, make_host
from bdbench.host.catalog import Host
from bdbench.host.names import meant
from bdbench.host.plugins import Component
from bdbench.results.render.cells import visible
from bdbench.suite.load import suite_file
from bdbench.suite.schema import SuiteFields

__all__ = ["show"]

PATHS = {"path", "file-path", "directory-path"}
"""What pydantic calls text that is one."""


@click.command("show")
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Where several kinds have the name.")
@click.option("--suite-keys", is_flag=True, help="What a suite's file may set.")
@as_json
@common
def show(name: str | None, kind: str | None, suite_keys: bool, as_json: bool) -> int:  # noqa: FBT001
    """Explain NAME: what it is, what it needs, and what can be set."""
    if suite_keys:
        if as_json:
            echo_json(SuiteFields.model_json_schema())
        else:
            _print_fields(SuiteFields, "")
        return 0
    if not name:
        raise click.UsageError("name a component (see `bdbench list`), or ask for --suite-keys")
    host = make_host()
    found = _named(host, name, kind)
    if as_json:
        echo_json([_describe(host, component) for component in found])
        return 0
    for component in found:
        _print(host, component)
    return 0


def _named(host: Host, name: str, kind: str | None) -> list[Component]:
    found = [item for item in host.components(kind) if name in {item.spec.name, item.full_name}]
    if found:
        return found
    kinds = [kind] if kind else sorted({item.spec.kind for item in host.components()})
    errors = []
    for candidate in kinds:
        try:
            host.find(candidate, name)
        except PluginError as error:
            errors.append(error)
    if kind:
        raise errors[0]
    # It knows a plugin that would bring it, and thus of which kind it is.
    knowing = next((item for item in errors if "`bdbench plugins" in item.next), None)
    if knowing is not None:
        raise knowing
    close = meant(name, (item.spec.name for item in host.components()))
    raise PluginError(
        "there is no component of this name",
        where="show",
        found=repr(name),
        expected=f"the name of one, of any kind ({', '.join(kinds)})",
        next=f"write {' or '.join(map(repr, close))}" if close else "see `bdbench list`",
    )


def _describe(host: Host, component: Component) -> dict[str, Any]:
    spec = component.spec
    model = host.load_config(component)
    return {
        "kind": spec.kind,
        "full_name": component.full_name,
        "version": component.version,
        "revision": spec.revision,
        "api": spec.api,
        "summary": spec.summary,
        "tasks": sorted(spec.tasks),
        "surfaces": sorted(spec.surfaces) if isinstance(spec, AttackSpec) else None,
        "needs": _needs(spec, model) if isinstance(spec, DefenseSpec) else None,
        "citation": spec.citation,
        "config_schema": model.model_json_schema() if model else None,
    }


def _print(host: Host, component: Component) -> None:
    spec = component.spec
    _echo(f"{spec.kind} {component.full_name} {component.version}")
    _echo(spec.summary, "  ")
    _echo(f"tasks: {', '.join(sorted(spec.tasks))}", "  ")
    model = host.load_config(component)
    if isinstance(spec, AttackSpec):
        _echo(f"surfaces: {', '.join(sorted(spec.surfaces)) or 'none'}", "  ")
    if isinstance(spec, DefenseSpec):
        _echo(f"stages: {', '.join(sorted(spec.stages)) or 'none'}", "  ")
        _echo(f"needs: {_needs(spec, model)}", "  ")
    if isinstance(spec, MetricSpec):
        for value in spec.values:
            none = value.direction is Direction.NONE
            better = "neither way is better" if none else f"{value.direction} is better"
            _echo(f"{value.name} ({better}): {value.summary}", "  ")
    if spec.kind == "suite":
        _echo_lines("\n" + suite_file(host, component.full_name).read_text("utf-8"))
    if model:
        _echo("settings:", "  ")
        _print_fields(model, "    ")
    if spec.citation:
        _echo("citation:", "  ")
        _echo_lines(spec.citation, "    ")


def _echo(line: str, indent: str = "") -> None:
    """One line with foreign text in it, which acts on no terminal."""
    click.echo(indent + visible(line))


def _echo_lines(text: str, indent: str = "") -> None:
    """Foreign text that may have several lines."""
    for line in text.splitlines():
        _echo(line, indent)


def _needs(spec: DefenseSpec, model: type[ComponentConfig] | None) -> str:
    """What it needs as a suite gets it that sets nothing."""
    needs = spec.needs
    if model and issubclass(model, DefenseConfig):
        with suppress(ValidationError):  # something has to be set
            needs = model().needs(needs)
    return needs.describe()


def _print_fields(model: type[BaseModel], indent: str) -> None:
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        nested = _nested(field.annotation)
        default = "required" if field.is_required() else f"default {_shown(field.default)}"
        allowed = "" if nested else f"{_allowed(schema['properties'][name])}, "
        # What is a mapping of its own anyway has no default worth reading.
        shown = nested is None or nested is not field.annotation
        _echo(name + (f" ({allowed}{default})" if shown else ""), indent)
        _echo_lines(field.description or "", f"{indent}    ")
        if nested:
            _print_fields(nested, indent + "  ")


def _nested(kind: Any) -> type[BaseModel] | None:
    """The model behind a field that holds one, or may."""
    for option in (kind, *get_args(kind)):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_allowed(option) for option in schema["anyOf"])
    names = {"integer": "whole number", "string": "text", "array": "list", "null": "null"}
    kind = names.get(schema.get("type", ""), schema.get("type", "any"))
    kind = "path" if schema.get("format") in PATHS else kind
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    ranges = " and ".join(f"{sign} {schema[key]}" for key, sign in limits.items() if key in schema)
    return f"{kind} {ranges}".strip()
