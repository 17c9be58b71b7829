"""The two metrics of POR: how many insertions turn a text, and how much of it they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from bdbench.api import AttackEvidence, AttackMetric, Evidence, Examples, InputError, Metric

__all__ = ["Effectiveness", "Stealthiness"]

_NAME = re.compile(r"insertions-(\d+)")

Rows = TypeVar("Rows")


class Effectiveness(Metric):
    """The fewest insertions of the trigger that turn a text to the target (Shen et al. 2021).

    And how much of the text the trigger is at that point.
    """

    def measure(self, evidence: Evidence) -> dict[str, float | None]:
        """The values that the spec lists; None without variants called ``insertions-<n>``.

        As in the authors' code, only rows count that get their true label without the
        trigger.
        """
        values: dict[str, float | None] = {
            "insertions_to_flip": None,
            "insertions_needed": None,
            "never_flipped": None,
            "trigger_share_at_flip": None,
        }
        variants = _by_count(evidence.variants)
        if not variants:
            return values
        clean = evidence.clean
        right = {
            int(row_id)
            for row_id, label, said in zip(
                clean.ids, clean.labels, clean.columns["prediction"], strict=True
            )
            if said == label
        }
        fewest: dict[int, int] = {}
        tried: set[int] = set()
        for count, variant in variants.items():
            for row_id, said in zip(variant.ids, variant.columns["prediction"], strict=True):
                if int(row_id) in right:
                    tried.add(int(row_id))
                    if said == evidence.target:
                        fewest.setdefault(int(row_id), count)
        if not tried:
            return values
        never = len(tried) - len(fewest)
        flips = sum(fewest.values())
        if fewest:
            values["insertions_to_flip"] = flips / len(fewest)
        values["insertions_needed"] = (flips + never * (max(variants) + 1)) / len(tried)
        values["never_flipped"] = never / len(tried)
        if evidence.attack is not None:
            values["trigger_share_at_flip"] = _share_at_flip(evidence.attack, fewest)
        return values


class Stealthiness(AttackMetric):
    """The share of a text's characters that the attacker added (Shen et al. 2021)."""

    def measure(self, evidence: AttackEvidence) -> dict[str, float | None]:
        """The values that the spec lists; None for attacks that do more than add to texts."""
        variants = _by_count(evidence.variants)
        return {
            "trigger_share": _added(evidence.before, evidence.after),
            "trigger_share_least": _added(evidence.before, variants[min(variants)])
            if variants
            else None,
        }


def _share_at_flip(attack: AttackEvidence, fewest: Mapping[int, int]) -> float | None:
    """The mean share of added characters, each row with the insertions that turned it."""
    shares: list[float] = []
    for count, rows in _by_count(attack.variants).items():
        turned = [row for row, row_id in enumerate(rows.ids) if fewest.get(int(row_id)) == count]
        found = _shares(attack.before, rows.select(turned))
        if found is None:
            return None
        shares += found
    return sum(sorted(shares)) / len(shares) if shares else None


def _by_count(variants: Mapping[str, Rows]) -> dict[int, Rows]:
    """The variants that grow by insertions, by the number of these, ascending."""
    matches = {_NAME.fullmatch(name): rows for name, rows in variants.items()}
    counted = {int(match[1]): rows for match, rows in matches.items() if match}
    return dict(sorted(counted.items()))


def _added(before: Examples, after: Examples) -> float | None:
    """The mean over the rows of `after` of added characters by all characters."""
    shares = _shares(before, after)
    # Sorted, so that the last digit does not depend on the order of the rows.
    return sum(sorted(shares)) / len(shares) if shares else None


def _shares(before: Examples, after: Examples) -> list[float] | None:
    """Each row's share of added characters; None where an attack does more than add."""
    lengths = dict(zip(before.ids, _characters(before), strict=True))
    shares = []
    for row_id, length in zip(after.ids, _characters(after), strict=True):
        if length < lengths[row_id]:
            return None
        shares.append((length - lengths[row_id]) / length if length else 0.0)
    return shares


def _characters(rows: Examples) -> list[int]:
    totals = [0] * len(rows)
    for name, column in rows.inputs.items():
        for row, text in enumerate(column):
            if not isinstance(text, str):
                raise InputError(
                    "characters can only be counted in texts",
                    where=f"column {name!r}, row {rows.ids[row]}",
                    found=f"a value of type {type(text).__name__}",
                    expected="text",
                    next="leave the metric por-stealthiness out",
                )
            totals[row] += len(text)
    return totals
