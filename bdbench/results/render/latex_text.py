"""Foreign text for LaTeX: plain ASCII that prints what it says and does nothing else."""

from __future__ import annotations

import unicodedata

__all__ = ["comment", "escape"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # An accent over nothing: the sign itself makes ligatures with ? and !.
    "`": r"\`{}",
    # Some languages of babel act on the sign itself.
    '"': r"\char34{}",
    # After a line's end these would be read as arguments of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
LIGATURES = "-',"
"""Two of these in a row would become another sign."""
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0331": "b",
}
BELOW = "\u0323\u0327\u0331"
"""Accents under a letter, which leave an i its dot."""
LETTERS = {
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "\u0131": r"\i{}",
    "\u00a0": "~",
    "\u2013": "--",
    "\u2014": "---",
    "\u2018": r"\textquoteleft{}",
    "\u2019": r"\textquoteright{}",
    "\u201c": r"\textquotedblleft{}",
    "\u201d": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "§": r"\S{}",
    "†": r"\dag{}",
    "·": r"\ensuremath{\cdot}",
    "×": r"\ensuremath{\times}",  # noqa: RUF001 -- the sign itself is meant
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "→": r"\ensuremath{\rightarrow}",
    "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}",
    "Δ": r"\ensuremath{\Delta}",
    "α": r"\ensuremath{\alpha}",  # noqa: RUF001
    "β": r"\ensuremath{\beta}",
    "ε": r"\ensuremath{\varepsilon}",
    "λ": r"\ensuremath{\lambda}",
    "µ": r"\ensuremath{\mu}",
    "μ": r"\ensuremath{\mu}",
    "ρ": r"\ensuremath{\rho}",  # noqa: RUF001
}


def escape(text: str) -> str:
    """Text as LaTeX that any engine sets, with no package beyond LaTeX itself.

    Letters with accents, and a few signs, become commands. What is left over, control and
    formatting characters among it, is shown as its code point, for instance ``[U+202E]``.
    """
    return "".join(
        _sign(char, following) for char, following in zip(text, f"{text[1:]} ", strict=False)
    )


def _sign(char: str, following: str) -> str:
    if char in SPECIAL:
        return SPECIAL[char]
    if char in LETTERS:
        return LETTERS[char]
    if char.isascii() and char.isprintable():
        return f"{char}{{}}" if char in LIGATURES and char == following else char
    parts = unicodedata.normalize("NFD", char)
    base, mark = parts[0], parts[1:]
    if mark in ACCENTS and base.isascii() and base.isalpha():
        letter = rf"\{base}" if base in "ij" and mark not in BELOW else base
        return rf"\{ACCENTS[mark]}{{{letter}}}"
    return f"{{[}}U+{ord(char):04X}{{]}}"


def comment(text: str) -> str:
    """Text within one line after a percent sign."""
    return "".join(
        char if char.isascii() and char.isprintable() else f"U+{ord(char):04X}" for char in text
    )
