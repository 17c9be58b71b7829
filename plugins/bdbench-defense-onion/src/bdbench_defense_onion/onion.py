"""ONION at input time and on the training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bdbench.api import (
    DefenderView,
    Defense,
    Examples,
    Filtering,
    InputError,
    Screening,
    Selection,
    Task,
)
from bdbench.toolkit.words import word_spans
from bdbench_defense_onion.config import OnionConfig, OnionFilterConfig
from bdbench_defense_onion.scoring import Scorer, Verdict, scorer_for
from bdbench_defense_onion.threshold import quantile_threshold
from bdbench_defense_onion.words import without

__all__ = ["Onion", "OnionFilter"]


@dataclass(frozen=True, slots=True)
class _Examination:
    """What became of rows.

    Attributes:
        examples: The rows without their suspicious words.
        changed: Whether a row lost a word.
        scores: The greatest suspicion of a word in each row; 0 where no word has one.
        notes: Facts for the record.
    """

    examples: Examples
    changed: list[bool]
    scores: list[float]
    notes: Mapping[str, Any]


class _WordRemoval(Defense):
    """What the screen and the filter share."""

    config: OnionConfig

    def _examine(self, rows: Examples, view: DefenderView) -> _Examination:
        fields = self._fields(view.task)
        scorer = scorer_for(self.config)
        threshold, notes = self._threshold(fields, scorer, view)
        changed = [False] * len(rows)
        scores: list[list[float]] = [[] for _ in range(len(rows))]
        words = judged = removed = long = 0
        examined = rows
        for field in fields:
            texts = _texts(rows, field)
            written = list(texts)
            for row, verdict in enumerate(scorer.judge(texts)):
                gone = _suspicious(verdict, threshold)
                if gone:
                    written[row] = without(texts[row], word_spans(texts[row]), gone)
                    changed[row] = True
                own = [score for score in verdict.scores if score is not None]
                scores[row] += own
                words += len(verdict.scores)
                judged += len(own)
                removed += len(gone)
                long += verdict.parts > 1
            examined = examined.with_input(field, written)
        return _Examination(
            examples=examined,
            changed=changed,
            scores=[max(own, default=0.0) for own in scores],
            notes={
                **scorer.facts,
                **notes,
                "threshold": threshold,
                "rows": len(rows),
                "rows_changed": sum(changed),
                "words": words,
                "words_without_score": words - judged,
                "words_removed": removed,
                "texts_judged_in_parts": long,
            },
        )

    def _fields(self, task: Task) -> Sequence[str]:
        fields = self.config.fields or task.fields
        unknown = [field for field in fields if field not in task.fields]
        if unknown:
            raise InputError(
                "the task has no such input column",
                where="onion: fields",
                found=repr(unknown[0]),
                expected=f"one of {', '.join(task.fields)}",
                next="use these names, or leave `fields` out for all of them",
            )
        return fields

    def _threshold(
        self, fields: Sequence[str], scorer: Scorer, view: DefenderView
    ) -> tuple[float, dict[str, Any]]:
        """The threshold and how it was chosen: fixed, or from the clean rows and them alone."""
        if self.config.threshold != "auto":
            return self.config.threshold, {"threshold_from": "settings"}
        texts = [text for field in fields for text in _texts(view.clean_rows, field)]
        verdicts = scorer.judge(texts)
        threshold = quantile_threshold(verdicts, self.config.quantile)
        over = [len(_suspicious(verdict, threshold)) for verdict in verdicts]
        return threshold, {
            "threshold_from": f"{len(view.clean_rows)} clean rows",
            "clean_words": sum(len(verdict.scores) for verdict in verdicts),
            "clean_words_removed": sum(over),
            "clean_texts_changed": sum(map(bool, over)),
        }

    def _selection(self) -> Selection:
        return Selection.CLEAN_VAL if self.config.threshold == "auto" else Selection.FIXED


class Onion(_WordRemoval):
    """Takes suspicious words out of the inputs; no input is refused (Qi et al. 2021)."""

    def screen(self, rows: Examples, view: DefenderView) -> Screening:
        """The rows without words whose suspicion is above the threshold.

        Raises:
            InputError: The language model cannot be used, a column does not hold text, or the
                clean rows are too few for a threshold.
            NonFiniteError: The language model's perplexities are not finite.
        """
        done = self._examine(rows, view)
        kept = [False] * len(rows)
        return Screening(done.examples, kept, done.scores, done.notes, self._selection())


class OnionFilter(_WordRemoval):
    """The same for the training rows; then the host trains anew."""

    config: OnionFilterConfig

    def filter(self, train: Examples, view: DefenderView) -> Filtering:
        """Rewrites the rows with suspicious words, or drops them.

        Raises:
            InputError: As for `Onion.screen`, or if all rows would be dropped.
            NonFiniteError: The language model's perplexities are not finite.
        """
        done = self._examine(train, view)
        notes = {**done.notes, "action": self.config.action}
        if self.config.action == "rewrite":
            kept = [True] * len(train)
            return Filtering(kept, done.scores, notes, done.examples, self._selection())
        if all(done.changed):
            raise InputError(
                "no training row would be left",
                where="onion-filter",
                found=f"a suspicious word in each of {len(train)} rows",
                expected="rows without any",
                next="set a higher `threshold` or `quantile`, or `action: rewrite`",
            )
        kept = [not changed for changed in done.changed]
        return Filtering(kept, done.scores, notes, selection=self._selection())


def _suspicious(verdict: Verdict, threshold: float) -> set[int]:
    """The words to remove, by number; never all of a text's, the least suspicious one stays."""
    over = {
        word: score
        for word, score in enumerate(verdict.scores)
        if score is not None and score > threshold
    }
    if over and len(over) == len(verdict.scores):
        del over[min(over, key=over.__getitem__)]
    return set(over)


def _texts(rows: Examples, field: str) -> list[str]:
    texts = list(rows.inputs[field])
    for row_id, text in zip(rows.ids, texts, strict=True):
        if not isinstance(text, str):
            raise InputError(
                "only words of texts can be judged",
                where=f"onion: column {field!r}, row {row_id}",
                found=f"a value of type {type(text).__name__}",
                expected="text",
                next="clean the column, or name others with `fields`",
            )
    return texts
