"""The colours of the heat map.

One sequential palette in both light and dark: inferno (by S. van der Walt and N. Smith, CC0), whose
lightness rises evenly, so that it survives printing in grey and every kind of colour blindness. Low
values stand near the colour of the page and high ones away from it, in either mode.
"""

from __future__ import annotations

__all__ = ["INFERNO", "STEPS", "contrast", "ink", "sheet", "step"]

INFERNO = (
    "#000004", "#07051b", "#160b39", "#2b0b57", "#420a68", "#57106e", "#6a176e",
    "#7f1e6c", "#932667", "#a82e5f", "#bc3754", "#cc4248", "#dd513a", "#ea632a",
    "#f37819", "#f98e09", "#fca50a", "#fbbe23", "#f6d746", "#f1ef75", "#fcffa4",
)  # fmt: skip
STEPS = 17
"""Steps from the lowest to the highest value: those of inferno that stand off black."""
DARK = INFERNO[2 : 2 + STEPS]
LIGHT = INFERNO[: -STEPS - 1 : -1]
INKS = ("#000000", "#ffffff")


def step(value: float, low: float, high: float) -> int:
    """The step of a value on a scale from `low` to `high`, 0 to `STEPS - 1`."""
    share = (value - low) / (high - low) if high > low else 0.0
    return round(min(max(share, 0.0), 1.0) * (STEPS - 1))


def sheet() -> str:
    """The style rules of the steps: `q0`, `q1`, ... for light pages, then for dark ones."""
    light = "".join(_rule(i, colour) for i, colour in enumerate(LIGHT))
    dark = "".join(_rule(i, colour) for i, colour in enumerate(DARK))
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{{dark}}}\n"


def _rule(index: int, colour: str) -> str:
    return f".q{index}{{background:{colour};fill:{colour};color:{ink(colour)}}}"


def ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    return max(INKS, key=lambda candidate: contrast(candidate, colour))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2, "contrast ratio"), 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
