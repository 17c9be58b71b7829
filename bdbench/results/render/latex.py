"""Comparisons as LaTeX tables, for papers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bdbench.api import Reporter
from bdbench.results.render.cells import SIGNED, column_of, place_rows, places, shown_columns
from bdbench.results.render.latex_config import LatexConfig
from bdbench.results.render.latex_parts import (
    BEGIN,
    GAP,
    NAME,
    foot,
    head_of,
    name_of,
    number_of,
    short_name,
    slug,
    width_of_head,
)
from bdbench.results.render.latex_ranking import ranking_table
from bdbench.results.render.latex_text import comment, escape
from bdbench.results.render.latex_width import points
from bdbench.results.render.words import unranked

__all__ = ["LatexReporter"]

Row = Mapping[str, Any]

GREY = "black!55"
TEXT, PAGE = 345.0, 480.0
"""Points across: the text of an article of 10 pt, in one column, and that of a whole document."""
LINES = 37
"""Of panels in one table; more go into a table of their own, as none may leave the page."""
SMALLER = 7 / 9
"""Of what is set in the size of scripts."""
PREAMBLE = r"""\documentclass{article}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs}
\usepackage{xcolor}
\pagestyle{empty}
\begin{document}"""


class LatexReporter(Reporter):
    """Tables in the manner of booktabs, one for each data set and model, and its ranking."""

    def render(self, comparison: Mapping[str, Any]) -> str:
        r"""LaTeX to ``\input``, or a whole document; ASCII only."""
        config = self.config or LatexConfig()
        lines = [
            f"% By bdbench {comment(comparison['bdbench'])}, run {comment(comparison['run_id'])}.",
            r"% Needs \usepackage{booktabs} and \usepackage{xcolor}.",
        ]
        for at, place in enumerate(places(comparison), 1):
            room = PAGE if config.standalone else TEXT
            table = _Results(comparison, place, at, room, intervals=config.intervals)
            lines += ["", *table.lines()]
            for ranking in comparison["rankings"]:
                if (ranking["dataset"], ranking["model"]) == place:
                    lines += ["", *ranking_table(comparison, ranking, at)]
            if config.standalone:
                # So that tables do not wait for text that never comes.
                lines.append(r"\clearpage")
        if config.standalone:
            lines = [*lines[:1], PREAMBLE, *lines[2:], r"\end{document}"]
        return "\n".join(lines) + "\n"


class _Results:
    """The table of one data set and model: a row for each defense, columns for each attack.

    Args:
        comparison: The comparison.
        place: Data set and model.
        at: Which table it is, for its label.
        room: Points that it may be wide.
        intervals: Whether they are shown.
    """

    def __init__(
        self,
        comparison: Mapping[str, Any],
        place: tuple[str, str],
        at: int,
        room: float,
        *,
        intervals: bool,
    ) -> None:
        self.place = place
        self.at = at
        self.room = room
        self.intervals = intervals
        self.seeds = len(comparison["seeds"])
        rows = place_rows(comparison, place)
        self.rows = {(row["attack"], row["defense"]): row for row in rows}
        self.attacks = {row["attack"]: row["control"] for row in rows}
        self.defenses = list(dict.fromkeys(row["defense"] for row in rows))
        self.reasons = unranked(rows)
        self.gated = {
            row["attack"]: row["gate"]["reason"]
            for row in rows
            if not row["gate"]["passed"] and not row["control"]
        }
        self.columns = _columns(comparison)
        self.ranks_by = column_of(comparison, "attack")
        self.best = {attack: self._best(attack) for attack in self.attacks}
        changes = [change for row in rows for change in row["changes"].values() if change]
        self.tested = any(change["p_holm"] is not None for change in changes)

    def lines(self) -> Iterator[str]:
        """The lines of the table, or of several where one would leave the page."""
        panels = list(self._panels())
        most = max(1, LINES // (len(self.defenses) + 3))
        label = f"tab:bdbench-{self.at}-{slug(self.place)}"
        for start in range(0, len(panels), most):
            yield from BEGIN
            if start:
                names = escape(", ".join(self.place))
                yield rf"\caption{{{names}: table~\ref{{{label}}}, continued.}}"
            else:
                yield from (rf"\caption{{{self._caption()}}}", rf"\label{{{label}}}")
            for at, attacks in enumerate(panels[start : start + most]):
                if at:
                    yield r"\par\medskip"
                yield from self._panel(attacks)
            if start + most >= len(panels):
                yield from foot(list(self._notes()))
            yield r"\end{table}"

    def _caption(self) -> str:
        names = [short_name(column) for column in self.columns]
        what = " and ".join(f"{short} ({words})" if words else short for short, words in names)
        plural = "seed" if self.seeds == 1 else "seeds"
        shares = any(column["unit"] == "share" for column in self.columns)
        unit = r", in \%" if shares else ""
        more = r" with 95\,\% intervals" if self.intervals else ""
        text = (
            f"{escape(self.place[0])}, {escape(self.place[1])}: {what}{unit}; "
            f"means over {self.seeds} {plural}{more}."
        )
        if any(self.best.values()) and self.ranks_by:
            least = "highest" if self.ranks_by["direction"] == "higher" else "lowest"
            text += (
                rf" \textbf{{Bold}}: the {least} {short_name(self.ranks_by)[0]} of an attack among "
                "ranked defenses, ties at the printed precision included."
            )
        return text

    # --- panels -------------------------------------------------------------------------------

    def _columns_of(self, attack: str) -> list[dict[str, Any]]:
        """The columns that an attack has values in: the control has no success to measure."""
        filled = [
            column
            for column in self.columns
            if any(
                self.rows[attack, defense]["values"][column["name"]]
                for defense in self.defenses
                if (attack, defense) in self.rows
            )
        ]
        return filled or self.columns

    def _panels(self) -> Iterator[list[str]]:
        """The attacks that are set side by side; more are set below."""
        names = max(min(points(name), NAME) for name in ("defense", *self.defenses)) + 2 * GAP
        panel: list[str] = []
        taken = names
        for attack in self.attacks:
            needed = self._width(attack)
            if panel and taken + needed > self.room:
                yield panel
                panel, taken = [], names
            panel.append(attack)
            taken += needed
        yield panel

    def _width(self, attack: str) -> float:
        """About how many points the columns of an attack take."""
        rows = [row for (own, _), row in self.rows.items() if own == attack]
        widths = [
            max([width_of_head(column), *(self._width_of(row, column) for row in rows)])
            for column in self._columns_of(attack)
        ]
        more = " (control)" if self.attacks[attack] else ""
        head = min(points(attack), NAME) + points(more) + points("*") * (attack in self.gated)
        return max(sum(widths) + 2 * GAP * len(widths), head + 2 * GAP)

    def _width_of(self, row: Row, column: Mapping[str, Any]) -> float:
        estimate = row["values"][column["name"]]
        if not estimate:
            return points("--")
        width = points(number_of(column, estimate["mean"]).replace("$", ""))
        if self.intervals and estimate["low"] is not None:
            ends = [number_of(column, estimate[end]).replace("$", "") for end in ("low", "high")]
            width += SMALLER * points(f" [{', '.join(ends)}]")
        # Bold digits are wider.
        return 1.15 * width

    def _panel(self, attacks: Sequence[str]) -> Iterator[str]:
        columns = {attack: self._columns_of(attack) for attack in attacks}
        yield rf"\begin{{tabular}}{{l{'r' * sum(map(len, columns.values()))}}}"
        yield r"\toprule"
        tops, rules, heads = [""], [], ["defense"]
        start = 2
        for attack in attacks:
            end = start + len(columns[attack]) - 1
            tops.append(rf"\multicolumn{{{end - start + 1}}}{{c}}{{{self._attack(attack)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{end}}}")
            heads += map(head_of, columns[attack])
            start = end + 1
        yield " & ".join(tops) + r" \\"
        yield "".join(rules)
        yield " & ".join(heads) + r" \\"
        yield r"\midrule"
        for defense in self.defenses:
            cells = [name_of(defense)]
            for attack in attacks:
                row = self.rows.get((attack, defense))
                cells += [self._cell(row, column) for column in columns[attack]]
            yield " & ".join(cells) + r" \\"
        yield from (r"\bottomrule", r"\end{tabular}")

    def _attack(self, attack: str) -> str:
        if self.attacks[attack]:
            return f"{name_of(attack)} (control)"
        return (
            _grey(rf"{name_of(attack)}$^{{\dagger}}$") if attack in self.gated else name_of(attack)
        )

    # --- cells --------------------------------------------------------------------------------

    def _cell(self, row: Row | None, column: Mapping[str, Any]) -> str:
        estimate = row["values"][column["name"]] if row else None
        if not row:
            return "--"
        text = number_of(column, estimate["mean"]) if estimate else "--"
        is_ranking = self.ranks_by == column
        if is_ranking and row["ranked"] and text == self.best[row["attack"]]:
            text = rf"\textbf{{{text}}}"
        if self.intervals and estimate and estimate["low"] is not None:
            between = ", ".join(number_of(column, estimate[end]) for end in ("low", "high"))
            text += rf" {{\scriptsize [{between}]}}"
        marks = self._marks(row, column)
        if marks:
            text += rf"\rlap{{$^{{{marks}}}$}}"
        return text if row["ranked"] or row["control"] else _grey(text)

    def _marks(self, row: Row, column: Mapping[str, Any]) -> str:
        change = row["changes"].get(column["role"])
        marks = "*" if change and change["significant"] else ""
        # The reason stands once a row: beside what is ranked by, or beside the first column.
        first = self.ranks_by or self.columns[0]
        counts = not row["ranked"] and not row["control"] and row["gate"]["passed"]
        if column == first and counts:
            marks += rf"\mathrm{{{_letter(self.reasons.index(row['unranked_because']))}}}"
        return marks

    def _best(self, attack: str) -> str:
        """The best mean of an attack's ranked rows, as it is printed; empty without one."""
        column = self.ranks_by
        rows = (self.rows.get((attack, defense)) for defense in self.defenses)
        means = [
            row["values"][column["name"]]["mean"]
            for row in rows
            if column and row and row["ranked"] and row["values"][column["name"]]
        ]
        if not means or not column:
            return ""
        return number_of(column, max(means) if column["direction"] == "higher" else min(means))

    def _notes(self) -> Iterator[str]:
        if self.tested:
            yield (
                "$^{*}$ differs from no defense under the same attack: paired by seed and test "
                "row, Holm-corrected, $p < .05$."
            )
        for at, reason in enumerate(self.reasons):
            yield rf"$^{{\mathrm{{{_letter(at)}}}}}$ not ranked: {escape(reason)}."
        for attack, reason in self.gated.items():
            yield rf"$^{{\dagger}}$ {name_of(attack)} is not ranked: {escape(reason)}."


def _columns(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The two columns that an attack gets: how far it succeeds, and what must not be lost."""
    found = [column_of(comparison, role) for role in ("attack", "utility")]
    if any(found):
        return [column for column in found if column]
    # Without roles: what is measured, rather than how it changed.
    return [item for item in shown_columns(comparison) if not item["name"].endswith(SIGNED)][:2]


def _grey(text: str) -> str:
    return rf"\textcolor{{{GREY}}}{{{text}}}"


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
