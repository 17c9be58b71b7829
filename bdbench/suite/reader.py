"""Reads the YAML of a suite: a small, strict part of YAML 1.2, with places for messages.

PyYAML by itself reads ``1e-4`` as text and ``no`` as false (YAML 1.1), lets the last of two
equal keys win, and expands a few hundred bytes of aliases to megabytes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bdbench.api.errors import InputError

__all__ = ["Document", "parse_value", "read_document"]

MAX_BYTES = 1_000_000
MAX_DIGITS = 100
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        source: Its name, for messages.
        folder: Where relative paths in it start.
        data: What it holds.
        lines: The line of each place (a path of keys and positions), counted from 1.
    """

    source: str
    folder: Path
    data: Any
    lines: dict[Place, int] = field(default_factory=dict)

    def where(self, place: Place) -> str:
        """``file:line: a.b.0`` for a place, or for the nearest one around it."""
        known = place
        while known and known not in self.lines:
            known = known[:-1]
        line = f":{self.lines[known]}" if known in self.lines else ""
        dotted = ".".join(str(part) for part in place)
        return f"{self.source}{line}: {dotted}" if dotted else f"{self.source}{line}"


class _Loader(yaml.SafeLoader):
    """Composes nodes only; what they mean is decided here, not by PyYAML."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag is None and not isinstance(event, yaml.AliasEvent):
            return super().compose_node(parent, index)
        what = "aliases (*name) are" if tag is None else f"the tag {tag!r} is"
        raise yaml.MarkedYAMLError(problem=f"{what} not allowed", problem_mark=event.start_mark)


def read_document(path: Path, *, source: str | None = None) -> Document:
    """Reads a suite's file.

    Raises:
        InputError: The file cannot be read or is not of the allowed part of YAML.
    """
    name = source or str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            "the suite cannot be read",
            where=name,
            found=error.strerror or str(error),
            expected="a YAML file, or the name of a preset",
            next="see `bdbench list --kind suite` for the presets",
        ) from None
    if len(raw) > MAX_BYTES:
        raise InputError(
            "the suite is too large",
            where=name,
            found=f"{len(raw)} bytes",
            expected=f"at most {MAX_BYTES}",
        )
    try:
        return _parse(raw.decode("utf-8"), name, path.absolute().parent)
    except UnicodeDecodeError as error:
        raise InputError(
            "the suite is not text", where=name, found=str(error), expected="UTF-8"
        ) from None


def parse_value(text: str, source: str) -> Any:
    """The value of one ``--set key=value``, by the same rules as the file's."""
    return _parse(text, source, Path.cwd()).data


def _parse(text: str, source: str, folder: Path) -> Document:
    lines: dict[Place, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = None if node is None else _value(node, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(
            "this is not the YAML that bdbench reads",
            where=f"{source}{line}",
            found=error.problem or "an error of form",
            expected="plain YAML without aliases, tags or repeated keys",
            next="mend that line",
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(
            "this is not the YAML that bdbench reads",
            where=source,
            found=str(error).splitlines()[0],
        ) from None
    return Document(source, folder, data, lines)


def _value(node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a word", problem_mark=key_node.start_mark
                )
            if key in found:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            found[key] = _value(value_node, (*place, key), lines)
            lines[*place, key] = key_node.start_mark.line + 1
        return found
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    # Quoted text is text, whatever it looks like.
    if getattr(node, "style", None) is not None:
        return text
    if text in CONSTANTS:
        return CONSTANTS[text]
    if not FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS or math.isinf(float(text)):
        raise yaml.MarkedYAMLError(
            problem="this number is too large or too long", problem_mark=node.start_mark
        )
    return int(text) if INTEGER.fullmatch(text) else float(text)
