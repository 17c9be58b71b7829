"""Renews the tables of results in documents from the records of a run.

    bdbench run sst2-core --data sst2=FOLDER
    python benchmarks/reproduction.py HOME/runs/<run>/records.jsonl plugins/*/REPRODUCTION.md

A table belongs to the suite that the text before it named last (``bdbench run NAME``). Its rows
stay those that are there, by attack and defense; what stands in the other columns is the mean
over the seeds, with the lowest and the highest for clean accuracy and ASR. Rows that the records
do not have are left as they are, and told.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Cells = Mapping[tuple[str, str], Sequence[Mapping[str, float | None]]]

WITH_RANGE = {"clean accuracy": "clean_accuracy", "ASR": "asr"}
MEANS = {
    "floor": "asr_floor",
    "AUROC": "screen_auroc",
    "FRR": "screen_frr",
    "FAR": "screen_far",
    "FTR": "ftr",
    "FTR floor": "ftr_floor",
    "changed words": "changed_words",
    "similarity": "embedding_similarity",
    "insertions to flip": "insertions_to_flip",
    "never flipped": "never_flipped",
    "share of the text": "trigger_share_at_flip",
}


def read(path: Path) -> tuple[str, Cells]:
    """The suite, and the metrics of each seed by attack and defense."""
    cells: dict[tuple[str, str], list[Mapping[str, float | None]]] = defaultdict(list)
    suites = set()
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        suites.add(record["suite"])
        if record["status"] == "success":
            cells[record["attack"]["label"], record["defense_label"]].append(record["metrics"])
    if len(suites) != 1:
        raise SystemExit(f"{path}: records of {sorted(suites)}, expected those of one suite")
    return suites.pop(), cells


def fill(column: str, seeds: Sequence[Mapping[str, float | None]]) -> str | None:
    """What a cell of the table says; None for a column that is not known."""
    name = WITH_RANGE.get(column) or MEANS.get(column)
    if name is None:
        return None
    values = [value for seed in seeds if (value := seed.get(name)) is not None]
    if not values:
        return ""
    mean = f"{sum(values) / len(values):.3f}"
    return f"{mean} ({min(values):.3f}-{max(values):.3f})" if column in WITH_RANGE else mean


def renew(text: str, suite: str, cells: Cells) -> Iterator[str]:
    """The lines of a document, those of its tables renewed."""
    named, columns = "", []
    for line in text.split("\n"):
        for found in re.finditer(r"bdbench run ([a-z0-9-]+)", line):
            named = found[1]
        parts = [part.strip() for part in line.strip("|").split("|")]
        if parts[:2] == ["attack", "defense"]:
            columns = parts
        elif not line.startswith("|"):
            columns = []
        ours = columns and named == suite and len(parts) == len(columns) and parts != columns
        if not ours or set(line) <= set("|- "):
            yield line
            continue
        seeds = cells.get((parts[0], parts[1]))
        if not seeds:
            print(f"  no records of {parts[0]}, {parts[1]}")
            yield line
            continue
        known = (fill(column, seeds) for column in columns)
        filled = [old if new is None else new for old, new in zip(parts, known, strict=True)]
        if "seeds" in columns:
            filled[columns.index("seeds")] = str(len(seeds))
        yield "| " + " | ".join(filled) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("documents", type=Path, nargs="+")
    given = parser.parse_args()
    suite, cells = read(given.records)
    for path in given.documents:
        print(path)
        before = path.read_text("utf-8")
        after = "\n".join(renew(before, suite, cells))
        pairs = zip(before.split("\n"), after.split("\n"), strict=True)
        print(f"  {sum(one != other for one, other in pairs)} lines changed")
        path.write_text(after, "utf-8")


if __name__ == "__main__":
    main()
