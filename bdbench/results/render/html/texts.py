"""How numbers, lists and foreign text become words of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from bdbench.results.render.cells import visible

__all__ = [
    "amount",
    "column_name",
    "count",
    "estimate",
    "interval",
    "listing",
    "number",
    "output",
    "p_value",
    "p_words",
    "paragraphs",
    "quantity",
    "spoken",
]

Estimate = Mapping[str, Any]

SHORT = frozenset({"asr", "der", "lfr", "auroc", "tpr", "fpr"})
"""Abbreviations that are written in capitals."""
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
DASH = "\N{EN DASH}"


def output(value: object) -> str:
    """What a template may write: markup of ours, whole numbers, and text made harmless to eyes.

    It is the last gate before escaping, so that no place of a template can forget it. Numbers with
    a fraction are refused: how many digits they bear is decided in this module, not by `str`.
    """
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"a template may not write {value!r}")


def paragraphs(text: str) -> Markup:
    """Text that keeps its line breaks, every other control character made visible."""
    return Markup("\n").join(visible(line) for line in text.splitlines())


def number(value: float | None, unit: str = "share", *, signed: bool = False) -> str:
    """A value with three decimals if it is a share, with four digits otherwise."""
    if value is None:
        return DASH
    text = f"{value:.3f}" if unit == "share" else f"{value:.4g}"
    if float(text) == 0:
        return text.removeprefix("-")
    if signed and value > 0:
        text = f"+{text}"
    return text.replace("-", MINUS)


def estimate(value: Estimate | None, unit: str = "share", *, signed: bool = False) -> str:
    """The mean of an estimate."""
    return number(value["mean"] if value else None, unit, signed=signed)


def interval(value: Estimate | None, unit: str = "share", *, signed: bool = False) -> str:
    """The 95 % interval as `[low, high]`; empty where there is none."""
    if value is None or value["low"] is None or value["high"] is None:
        return ""
    low = number(value["low"], unit, signed=signed)
    return f"[{low},{SPACE}{number(value['high'], unit, signed=signed)}]"


def spoken(value: Estimate | None, unit: str = "share", *, signed: bool = False) -> str:
    """An estimate in words, for titles."""
    if value is None:
        return "no value"
    text = number(value["mean"], unit, signed=signed)
    if value["low"] is not None and value["high"] is not None:
        low = number(value["low"], unit, signed=signed)
        text += f", 95 % interval {low} to {number(value['high'], unit, signed=signed)}"
    return text


def quantity(value: float | None) -> str:
    """An amount of something counted or timed, with as many digits as are worth reading."""
    if value is None:
        return DASH
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}{SPACE}M".replace("-", MINUS)
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", MINUS)
    return f"{value:.3g}".replace("-", MINUS)


def column_name(name: str) -> str:
    """The name of a metric's column for people."""
    return " ".join(word.upper() if word in SHORT else word for word in name.split("_"))


def p_value(value: float | None) -> str:
    """A p-value; small ones as a bound, as no sample here resolves them further."""
    if value is None:
        return DASH
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def p_words(value: float | None) -> str:
    """A p-value within a sentence."""
    if value is None:
        return "no p-value"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def amount(value: float | None) -> str:
    """A settings number as a person would have written it."""
    return DASH if value is None else f"{value:g}".replace("-", MINUS)


def count(number_of: int, one: str, many: str = "") -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number_of} {one if number_of == 1 else many or one + 's'}"


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
