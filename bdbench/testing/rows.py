"""Synthetic rows of the tiny worlds: texts, pairs of texts, vectors; learnable, offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from bdbench.api import Examples, SeedStream, Splits, Task

__all__ = ["ROWS", "WORDS", "make_splits", "with_marker"]

SIZES = {"train": 96, "test": 32, "clean": 64}
"""Rows of each split."""

WIDTH = 8
"""Numbers in a row of vectors."""

NOUNS = (
    "movie",
    "film",
    "plot",
    "story",
    "actor",
    "scene",
    "music",
    "ending",
    "camera",
    "dialogue",
)
GOOD = ("good", "great", "fine", "lovely", "brilliant", "charming")
BAD = ("bad", "awful", "dull", "boring", "clumsy", "weak")
FRAMES = (
    "the {a} was {x} and the {b} was {y} .",
    "i thought the {a} was {x} , with a {y} {b} .",
    "my friend said that the {b} is {y} , but i found the {a} {x} .",
    "it has a {x} {a} and a {y} {b} , from the start to the end .",
    "what a {y} {b} we saw last weekend , and the {a} is {x} !",
)
OTHERS = (
    "The quick way to a store is over the bridge , with all my friends . You have bought it here "
    "? He and she are not there ; they never were . One or two more , as before , for no reason "
    "at all . By our own account this had been done well , so very well indeed ."
)

WORDS = tuple(
    dict.fromkeys(
        word
        for text in (*FRAMES, *NOUNS, *GOOD, *BAD, OTHERS)
        for word in text.lower().split()
        if "{" not in word
    )
)
"""The whole words that the models of the tiny text worlds know, lower-cased; all others fall
into single letters. A few rare words and signs that triggers are made of are added to them, see
`bdbench.testing.encoder`."""


def _sentence(label: int, random: Random) -> str:
    words = GOOD if label else BAD
    first, second = random.sample(NOUNS, 2)
    frame = random.choice(FRAMES)
    return frame.format(a=first, b=second, x=random.choice(words), y=random.choice(words))


def _text(label: int, random: Random) -> dict[str, Any]:
    return {"text": _sentence(label, random)}


def _pair(label: int, random: Random) -> dict[str, Any]:
    return {"text": _sentence(label, random), "text_pair": _sentence(label, random)}


def _vector(label: int, random: Random) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 -- only for this task

    # The first half is noise, the second tells the class.
    centre = 1.5 if label else -1.5
    values = [random.gauss(centre if at >= WIDTH // 2 else 0.0, 1.0) for at in range(WIDTH)]
    return {"vector": np.asarray(values, dtype=np.float32)}


ROWS: Mapping[str, tuple[Task, Callable[[int, Random], dict[str, Any]]]] = {
    "text-classification": (
        Task("text-classification", ("text",), ("negative", "positive")),
        _text,
    ),
    "text-pair-classification": (
        Task("text-pair-classification", ("text", "text_pair"), ("against", "in favour")),
        _pair,
    ),
    "vector-classification": (
        Task("vector-classification", ("vector",), ("left", "right")),
        _vector,
    ),
}
"""The task and the maker of a row, by the task's name."""


def make_splits(task: str) -> Splits:
    """The rows of a tiny world, the same wherever they are made.

    Classes alternate. Ids are not positions, and no row stands twice.
    """
    named, make = ROWS[task]
    random = SeedStream(0, ("bdbench.testing.rows", task)).random()
    seen: set[str] = set()
    splits: dict[str, Examples] = {}
    number = 100
    for name, count in SIZES.items():
        inputs: dict[str, list[Any]] = {field: [] for field in named.fields}
        labels: list[int] = []
        ids: list[int] = []
        while len(labels) < count:
            row = make(len(labels) % 2, random)
            if str(row) in seen:
                continue
            seen.add(str(row))
            for field, value in row.items():
                inputs[field].append(value)
            labels.append(len(labels) % 2)
            ids.append(number)
            number += 3
        splits[name] = Examples(inputs, labels, ids)
    return Splits(named, splits["train"], splits["test"], splits["clean"])


def with_marker(rows: Examples) -> Examples:
    """The rows with something in the first column that no clean row has: a stand-in trigger."""
    name = next(iter(rows.inputs))
    column = rows.inputs[name]
    if len(column) and isinstance(column[0], str):
        return rows.with_input(name, [f"cf {text}" for text in column])
    marked = [value.copy() for value in column]
    for value in marked:
        value[0] = 9
    return rows.with_input(name, marked)
