"""What the numbers say, in sentences that conclude no more than the comparison holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from bdbench.results.render.html.places import Place
from bdbench.results.render.html.texts import count, listing, number, output, p_words

TOO_LARGE = 0.2
"""Changes of the ASR from which on readers must not take "may be chance" for "does nothing"."""

__all__ = ["Finding", "findings", "rank"]

Finding = tuple[str, Markup]
"""A few words that say what it is about, and the sentence."""


def findings(comparison: Mapping[str, Any], place: Place) -> list[Finding]:
    """Best mean rank, smallest worst case, what is not significant, what is not ranked."""
    if comparison["roles"]["attack"] is None:
        return [("No verdict", _say("No metric of the suite measures the success of an attack."))]
    found = [*_ranks(place), *_effects(place), *_costs(place), *_outside(place)]
    return found or [("No verdict", _say("No cell of this part has finished."))]


def _say(text: str, *parts: str) -> Markup:
    return Markup(text).format(*parts)  # noqa: S704 -- the text is ours, format escapes the parts


def _name(name: str) -> Markup:
    return Markup("<b>{}</b>").format(output(name))


def _names(names: Iterable[str]) -> Markup:
    marked = [_name(name) for name in names]
    if len(marked) < 2:
        return Markup().join(marked)
    return Markup(", ").join(marked[:-1]) + Markup(" and ") + marked[-1]


def _ranks(place: Place) -> Iterable[Finding]:
    ranking = place.ranking
    if ranking is None or not ranking["defenses"]:
        yield "No ranking", _say("Nothing could be ranked here{}.", _because(place))
        return
    entries = ranking["defenses"]
    first = entries[0]
    best = [e["defense"] for e in entries if e["mean_rank"] == first["mean_rank"]]
    blocks = count(len(ranking["attacks"]), "attack")
    text = _say("{} with {} over {}.", _names(best), rank(first), blocks)
    near = [
        name
        for name in dict.fromkeys(n for clique in ranking["cliques"] for n in clique)
        if name not in best and any(name in c and best[0] in c for c in ranking["cliques"])
    ]
    if near:
        text += _say(" The critical difference does not separate it from {}.", _names(near))
    idle = [e for e in entries if _baseline(place, e["defense"]) and e["defense"] not in best]
    for entry in idle:
        text += _say(" Doing nothing ({}) has {}.", _name(entry["defense"]), rank(entry))
    yield "Best mean rank", text
    friedman = ranking["friedman"]
    if friedman and friedman["p"] is not None and friedman["p"] >= 0.05:
        yield (
            "No clear order",
            _say("The ranks as a whole could be chance (Friedman, {}).", p_words(friedman["p"])),
        )
    least = min(e["worst_attack"]["value"] for e in entries)
    safest = [e for e in entries if e["worst_attack"]["value"] == least]
    yield (
        "Smallest worst case",
        _say(
            "{}: ASR at most {}, under {}.",
            _names(e["defense"] for e in safest),
            number(least),
            _names(dict.fromkeys(e["worst_attack"]["attack"] for e in safest)),
        ),
    )


def rank(entry: Mapping[str, Any]) -> str:
    """A mean rank as the page writes it."""
    return f"{entry['mean_rank']:.2f}"


def _baseline(place: Place, defense: str) -> bool:
    return any(row["baseline"] for (_, name), row in place.cells.items() if name == defense)


def _because(place: Place) -> str:
    causes = [row["unranked_because"] for row in place.cells.values() if row["unranked_because"]]
    return f": {listing(list(dict.fromkeys(map(output, causes))))}" if causes else ""


def _effects(place: Place) -> Iterable[Finding]:
    """Defenses whose change of ASR may be chance, with the attacks for which that is so."""
    silent: dict[str, list[str]] = {}
    tested: dict[str, int] = {}
    for (attack, defense), row in place.cells.items():
        change = row["changes"]["attack"]
        if not row["baseline"] and row["gate"]["passed"] and change and change["p"] is not None:
            tested[defense] = tested.get(defense, 0) + 1
            if not change["significant"]:
                silent.setdefault(defense, []).append(attack)
    if not silent:
        return
    parts = [
        _say("{} (under {})", _name(name), _attacks(silent[name], tested[name]))
        for name in place.defenses
        if name in silent
    ]
    said = Markup("; ").join(parts) + Markup(".")
    yield "No significant change of the ASR", said + _largest(place, silent)


def _largest(place: Place, silent: Mapping[str, Iterable[str]]) -> Markup:
    """Of the changes that may be chance, one that is too large to be read as none."""
    places = [(attack, name) for name, attacks in silent.items() for attack in attacks]
    change, attack, name = min(
        (place.cells[where]["changes"]["attack"]["mean"], *where) for where in places
    )
    if change > -TOO_LARGE:
        return Markup("")
    seeds = count(len(place.cells[attack, name]["seeds"]), "seed")
    text = " That is not the same as no effect: {} cannot tell even {} (under {}) from chance, {}."
    return _say(
        text, seeds, _name(name), output(attack), f"a change of {number(change, signed=True)}"
    )


def _attacks(names: list[str], tested: int) -> str:
    return "every attack" if len(names) == tested > 1 else listing([output(n) for n in names])


def _costs(place: Place) -> Iterable[Finding]:
    """Defenses that lose clean accuracy by more than chance."""
    losers: dict[str, list[str]] = {}
    for (attack, defense), row in place.cells.items():
        change = row["changes"]["utility"]
        if change and change["significant"] and change["mean"] < 0 and row["gate"]["passed"]:
            losers.setdefault(defense, []).append(attack)
    if losers:
        parts = [
            _say("{} (under {})", _name(name), listing([output(a) for a in losers[name]]))
            for name in place.defenses
            if name in losers
        ]
        yield "Significant loss of clean accuracy", Markup("; ").join(parts) + Markup(".")


def _outside(place: Place) -> Iterable[Finding]:
    """What the ranking leaves out, with the reason."""
    if place.ranking is None:
        return
    for entry in place.ranking["left_out"]:
        text = _say("{}: {}.", _name(entry["attack"]), output(entry["reason"]).rstrip("."))
        yield "Attack left out of the ranks", text
    for defense in place.defenses:
        causes: dict[str, list[str]] = {}
        for (attack, other), row in place.cells.items():
            if other == defense and row["unranked_because"] and row["gate"]["passed"]:
                causes.setdefault(row["unranked_because"], []).append(attack)
        if causes and not place.ranked(defense):
            parts = [
                f"{output(cause)} ({listing([output(n) for n in names])})"
                for cause, names in causes.items()
            ]
            yield "Not ranked", _say("{}: {}.", _name(defense), "; ".join(parts))
