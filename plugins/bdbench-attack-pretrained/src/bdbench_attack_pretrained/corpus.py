"""The texts that an encoder is poisoned on."""

from __future__ import annotations

from pathlib import Path

from bdbench.api import Examples, InputError, SeedStream, Task

__all__ = ["plain_texts"]


def plain_texts(
    train: Examples, task: Task, corpus: Path | None, rows: int, seeds: SeedStream
) -> Examples:
    """Texts without labels: of a file, or of the attacker's training rows.

    Args:
        train: The clean training rows.
        task: Says what fields a text needs.
        corpus: A text file with one text a line; blank lines do not count. None for `train`.
        rows: The most that are taken, drawn at random.
        seeds: Decides which.

    Returns:
        As many rows; all labels are 0, which here says that there is no trigger.

    Raises:
        InputError: The file cannot be read, holds no text, or the task wants pairs of texts.
    """
    texts = train if corpus is None else _lines(corpus, task)
    chosen = list(range(len(texts)))
    seeds.random().shuffle(chosen)
    drawn = texts.select(sorted(chosen[:rows]))
    return drawn.with_labels([0] * len(drawn))


def _lines(path: Path, task: Task) -> Examples:
    if len(task.fields) != 1:
        raise InputError(
            "a text file cannot stand for rows of several texts",
            where=f"corpus: {path}",
            found=f"the fields {', '.join(task.fields)}",
            expected="a task with one text in a row",
            next="leave `corpus` out: the training rows are then used",
        )
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the corpus cannot be read",
            where=f"corpus: {path}",
            found=f"{type(error).__name__}: {error}",
            expected="a text file in UTF-8 with one text a line",
            next="name another file, or leave `corpus` out for the training rows",
        ) from error
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines:
        raise InputError(
            "the corpus holds no text",
            where=f"corpus: {path}",
            found="blank lines only" if content else "an empty file",
            expected="one text a line",
            next="name another file, or leave `corpus` out for the training rows",
        )
    return Examples({task.fields[0]: lines}, [0] * len(lines), list(range(len(lines))))
