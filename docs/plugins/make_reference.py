"""Writes reference.md and testing.md from signatures and docstrings of what plugins may import.

    python docs/plugins/make_reference.py

A test fails when a page is not what this writes.
"""

# ruff: noqa: INP001 -- a script, in no package
from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bdbench import api, testing, toolkit
from bdbench.api import Needs, hooks

INTRODUCTION = f"""\
# Reference

Everything that a plugin may import from `bdbench.api`, version {api.API_VERSION}. This page is
written by `docs/plugins/make_reference.py` from signatures and docstrings: edit those.
"""

CHAPTERS = {
    "Specs": "specs",
    "What a defense needs": "needs",
    "Settings": "config",
    "Attacks": "attacks",
    "Defenses": "defenses",
    "Metrics": "metrics",
    "Models and the engine": "models",
    "Data sets": "datasets",
    "Tasks and rows": "data",
    "Randomness": "seeds",
    "Events": "events",
    "Reporters": "reporters",
    "Executors": "execution",
    "Errors": "errors",
    "Version": "version",
    "Deprecations": "deprecated",
}
"""The modules of `bdbench.api`, in the order in which an author meets them."""

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):$")
_ITEM = re.compile(r"(\w+): (.*)")
_WIDTH = 96
_MADE = re.compile(r"(<!-- made: (.+?) -->).*?(<!-- /made -->)", re.DOTALL)


def reference() -> str:
    """The page about `bdbench.api` and the toolkit."""
    titles = ["Hooks", *CHAPTERS, "Toolkit"]
    links = (f"[{title}](#{title.lower().replace(' ', '-')})" for title in titles)
    parts = [INTRODUCTION, " · ".join(links), *_hooks()]
    for title, name in CHAPTERS.items():
        module = importlib.import_module(f"bdbench.api.{name}")
        parts += [f"## {title}", *_docstring(module)]
        for public in getattr(module, "__all__", ["API_VERSION"]):
            # What is public between the host's own modules is no part of the contract. Warnings
            # are imported by nobody, but seen, and named in filters.
            if public in api.__all__ or name == "deprecated":
                parts += _entry(public, getattr(module, public), module)
    parts += _toolkit()
    return _joined(parts)


def testing_page() -> str:
    """The page about `bdbench.testing`: as written, and what stands between marks is made anew.

    A mark is a comment in HTML: ``checks``, ``module NAME`` (its docstring) or ``names`` (public
    names of `bdbench.testing`, or of a module of it).
    """
    written = Path(__file__).with_name("testing.md").read_text("utf-8")
    return _MADE.sub(lambda found: f"{found[1]}\n\n{_joined(_made(found[2]))}\n{found[3]}", written)


def _made(mark: str) -> Iterator[str]:
    what, *names = mark.split()
    if what == "checks":
        yield from _checks()
    elif what == "module":
        (name,) = names
        yield from _module(importlib.import_module(f"bdbench.testing.{name}"))
    else:
        for place in names:
            module, _, name = place.rpartition(".")
            home = importlib.import_module(f"bdbench.testing.{module or testing.HOMES[name]}")
            yield from _entry(name, getattr(home, name), home)


PAGES = {"reference.md": reference, "testing.md": testing_page}
"""What writes which page."""


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _module(module: Any) -> Iterator[str]:
    """A module's docstring as Markdown: prose, lists, and what is indented as code."""
    for block in (inspect.getdoc(module) or "").split("\n\n"):
        lines = block.splitlines()
        if block.startswith("    "):
            yield _code(inspect.cleandoc(block))
        elif block.startswith("* "):
            items = re.split(r"^\* ", block, flags=re.MULTILINE)[1:]
            yield "\n".join(f"- {_prose(item)}" for item in items)
        elif lines[0].startswith("``") and lines[1:2] and lines[1].startswith("    "):
            items = re.split(r"^(?=``)", block, flags=re.MULTILINE)[1:]
            yield "\n".join(
                f"- {name}: {_prose(text)}" for name, _, text in (_term(item) for item in items)
            )
        else:
            yield _prose(block)


def _term(item: str) -> tuple[str, str, str]:
    name, line, text = item.partition("\n")
    return name.replace("``", "`"), line, text


def _checks() -> Iterator[str]:
    rows = ["| check | of | what it holds a component to |", "| --- | --- | --- |"]
    for item in testing.CHECKS.values():
        kinds = ", ".join(sorted(item.kinds)) or "all"
        rows.append(f"| `{item.name}` | {kinds} | {_prose(item.summary)} |")
    yield "\n".join(rows)


def _hooks() -> Iterator[str]:
    yield "## Hooks"
    for part in (hooks.__doc__ or "").split("\n\n"):
        text = inspect.cleandoc(part)
        # The module's own example is indented.
        yield f"```toml\n{text}\n```" if part.startswith(" ") else _prose(text)
    yield "### `hookimpl`"
    yield "Marks a function as an implementation of the hook of its name; its options are pluggy's."
    for name, function in vars(hooks).items():
        if name.startswith("bdbench_"):
            yield f"### `{name}`"
            yield _code(_signature(name, function))
            yield from _docstring(function)
            yield from (
                f"`{key}`: {value}" for key, value in function.bdbench_spec.items() if value
            )


def _entry(name: str, found: Any, module: Any) -> Iterator[str]:
    yield f"### `{name}`"
    if inspect.isfunction(found):
        yield _code(_signature(name, found))
        yield from _docstring(found)
    elif inspect.isclass(found):
        yield from _class(name, found)
    else:
        value, text = _assigned(module, name)
        yield _code(f"{name} = {value}")
        yield _prose(text)


def _class(name: str, found: type[Any]) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in found.__bases__ if base is not object)
    yield _code(f"class {name}({bases})" if bases else f"class {name}")
    if issubclass(found, enum.Enum):
        yield from _docstring(found)
        yield "\n".join(f"- `{item.name}` = `{_quoted(repr(item.value))}`" for item in found)
        return
    fields = _settings(found) if issubclass(found, BaseModel) else _fields(found)
    yield from _docstring(found, fields)
    for method, member in vars(found).items():
        function = _function(member)
        public = not method.startswith("_") or method == "__call__"
        if function is not None and function.__doc__ and public:
            marks = [] if function is member else ["@property"]
            marks += ["@abstractmethod"] if getattr(member, "__isabstractmethod__", False) else []
            yield f"#### `{name}.{method}`"
            yield _code("\n".join([*marks, _signature(method, function)]))
            yield from _docstring(function)


def _function(member: Any) -> Any:
    """The function of a method or a property; None of what is neither."""
    found = getattr(member, "fget", None) if isinstance(member, property) else member
    found = found.func if isinstance(found, cached_property) else found
    return found if inspect.isfunction(found) else None


def _settings(model: type[BaseModel]) -> dict[str, str]:
    """Each setting that a model itself declares, with its description."""
    own = {}
    for name, annotation in inspect.get_annotations(model).items():
        if field := model.model_fields.get(name):
            default = "" if field.is_required() else f" = `{_shown(field.get_default())}`"
            own[name] = f"`{annotation}`{default}. {field.description}"
    return own


def _fields(found: type[Any]) -> dict[str, str]:
    """Type and default of each field that a dataclass itself declares; of no other class."""
    own = {}
    declared = inspect.get_annotations(found)
    for field in dataclasses.fields(found) if dataclasses.is_dataclass(found) else ():
        if field.name in declared:
            made = field.default_factory
            default = made() if made is not dataclasses.MISSING else field.default
            shown = "" if default is dataclasses.MISSING else f" = `{_shown(default)}`"
            own[field.name] = f"`{field.type}`{shown}."
    return own


def _shown(default: Any) -> str:
    if isinstance(default, enum.Enum):
        return f"{type(default).__name__}.{default.name}"
    if isinstance(default, Needs) and default == Needs():
        return "Needs()"
    return _quoted(repr(default))


def _quoted(code: str) -> str:
    """As the formatter would write it; nothing in the contract holds quotes."""
    return code.replace("'", '"')


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        text = stars + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            text += f" = {_shown(parameter.default)}"
        parts.append(text)
    result = signature.return_annotation
    arrow = "" if result is signature.empty else f" -> {result}"
    line = f"{name}({', '.join(parts)}){arrow}"
    if len(line) <= _WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"


def _docstring(found: Any, fields: dict[str, str] | None = None) -> Iterator[str]:
    """The paragraphs and lists of a docstring.

    Args:
        found: What has it.
        fields: What is said of each attribute besides; those that the docstring leaves out come
            last.
    """
    left = dict(fields or {})
    for block in (inspect.getdoc(found) or "").split("\n\n"):
        first, *rest = block.splitlines() or [""]
        heading = _SECTION.match(first)
        if heading is None:
            yield _code(inspect.cleandoc(block)) if block.startswith("    ") else _prose(block)
            continue
        items: list[str] = []
        for line in rest:
            item = _ITEM.match(line.removeprefix("    "))
            if item and heading[1] != "Returns":
                known = left.pop(item[1], "")
                items.append(f"- `{item[1]}`: {known}{' ' * bool(known)}{_prose(item[2])}")
            elif items:
                items[-1] += " " + _prose(line.strip())
            else:
                items.append(f"- {_prose(line.strip())}")
        title = "Arguments" if heading[1] == "Args" else heading[1]
        yield f"{title}:\n\n" + "\n".join(items)
    yield "\n".join(f"- `{name}`: {known}" for name, known in left.items())


def _prose(text: str) -> str:
    # A double colon announces an example in Python's own documentation.
    return " ".join(re.sub(r"::$", ":", text.replace("``", "`")).split())


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _assigned(module: Any, name: str) -> tuple[str, str]:
    """What a name is set to, as written, and the text that follows it."""
    for node, after in pairwise(ast.parse(inspect.getsource(module)).body):
        if _target(node) == name and isinstance(node, ast.Assign) and isinstance(after, ast.Expr):
            return _quoted(ast.unparse(node.value)), str(ast.literal_eval(after.value))
    raise LookupError(f"{module.__name__}: {name} is not assigned, or nothing is said of it")


def _target(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def _toolkit() -> Iterator[str]:
    yield "## Toolkit"
    yield _prose(toolkit.__doc__ or "")
    yield "These modules may import torch: name them in the module that does the work, no other."
    rows = ["| module | names | |", "| --- | --- | --- |"]
    folder = Path(str(toolkit.__file__)).parent
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        public = next((node for node in tree.body if _target(node) == "__all__"), None)
        if isinstance(public, ast.Assign):
            parts = ("bdbench.toolkit", *path.relative_to(folder).with_suffix("").parts)
            module = ".".join(parts).removesuffix(".__init__")
            names = ", ".join(f"`{name}`" for name in ast.literal_eval(public.value))
            summary = (ast.get_docstring(tree) or "").partition("\n\n")[0]
            rows.append(f"| `{module}` | {names} | {_prose(summary)} |")
    yield "\n".join(rows)


if __name__ == "__main__":
    for name, write in PAGES.items():
        Path(__file__).with_name(name).write_text(write(), "utf-8")
