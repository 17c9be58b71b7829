"""The attack: which rows are poisoned, and with which paraphrases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

from bdbench.api import Attack, AttackerView, Examples, InputError, Poisoning, SeedStream, Task
from bdbench.toolkit.escapes import decoded
from bdbench_attack_paraphrase.config import ParaphraseConfig
from bdbench_attack_paraphrase.files import FileParaphrases

__all__ = ["Paraphrase"]

_USABLE = "usable_paraphrases"
_NONE = "rows_without_paraphrase"
_SAME = "unchanged_paraphrases"


class _Source(Protocol):
    def texts(
        self, examples: Examples, task: Task, field: str, rows: Sequence[int]
    ) -> Iterator[str | None]:
        """The paraphrases of the rows at these positions, in this order; None for none."""
        ...


class Paraphrase(Attack):
    """An attack whose trigger is how a text is put: `syntactic` and `style`.

    Texts are replaced by paraphrases with one rare syntax (Qi et al., ACL 2021) or in one
    unusual style (Qi et al., EMNLP 2021). A row takes part only if it has a paraphrase, and one
    that differs from its text in more than case and spacing.
    """

    config: ParaphraseConfig

    def eligible(self, examples: Examples, task: Task) -> list[bool]:
        """The test rows of other classes than the target that have a usable paraphrase.

        Raises:
            InputError: The test paraphrases do not fit the data, or no such row has one.
        """
        others = [row for row, other in enumerate(super().eligible(examples, task)) if other]
        tally: Counter[str] = Counter()
        usable = {row for row, _ in self._usable(self._for_test, examples, task, others, tally)}
        if others and not usable:
            raise InputError(
                "no test row can be given the trigger",
                where="model" if self.config.test is None else f"test: {self.config.test}",
                found=f"{len(others)} test rows of other classes than the target{_told(tally)}",
                expected="paraphrases of such rows",
                next="choose another target, or name the paraphrases of this test split",
            )
        return [row in usable for row in range(len(examples))]

    def apply_trigger(
        self,
        examples: Examples,
        task: Task,
        seeds: SeedStream,  # noqa: ARG002 -- a text has one paraphrase, whatever the seed
    ) -> Examples:
        """The same test rows, each with its paraphrase.

        Raises:
            InputError: The test paraphrases do not fit the data, or a row has none.
        """
        tally: Counter[str] = Counter()
        rows = range(len(examples))
        texts = dict(self._usable(self._for_test, examples, task, rows, tally))
        lacking = [examples.ids[row] for row in rows if row not in texts]
        if lacking:
            raise InputError(
                "rows cannot be given the trigger",
                where="apply_trigger",
                found=f"{len(lacking)} of {len(examples)}, for instance row {lacking[0]}"
                f"{_told(tally)}",
                expected="only rows that `eligible` allows",
                next="select the rows by it",
            )
        return examples.with_input(
            task.input_field(self.config.field), [texts[row] for row in rows]
        )

    def poison(self, view: AttackerView, seeds: SeedStream) -> Poisoning:
        """Paraphrases the share `poison_rate` of all rows, in place.

        With dirty labels these rows come from other classes and get the target's label; with
        clean labels they come from the target class and keep it. A smaller rate takes a subset
        of what a larger one takes.

        Raises:
            InputError: The rate cannot be met, or target, column or paraphrases do not fit
                the data.
        """
        train = view.train
        target = view.task.class_index(self.config.target)
        chosen, notes = self._choose(view, target, seeds.child("rows"))
        field = view.task.input_field(self.config.field)
        texts = [chosen.get(row, text) for row, text in enumerate(train.inputs[field])]
        labels = [target if row in chosen else label for row, label in enumerate(train.labels)]
        return Poisoning(
            train=train.with_input(field, texts).with_labels(labels),
            mask=[row in chosen for row in range(len(train))],
            notes={
                "training_rows": len(train),
                "poisoned_rows": len(chosen),
                "relabelled_rows": 0 if self.config.clean_label else len(chosen),
                **notes,
                **self._left_undecoded(text for row, text in enumerate(texts) if row not in chosen),
            },
        )

    def _choose(
        self, view: AttackerView, target: int, seeds: SeedStream
    ) -> tuple[dict[int, str], Mapping[str, Any]]:
        """The paraphrases by the position of the row that each poisons, and notes on the rest."""
        labels, config = view.train.labels, self.config
        order = [row for row, label in enumerate(labels) if (label == target) == config.clean_label]
        seeds.random().shuffle(order)
        wanted = round(config.poison_rate * len(labels))
        tally: Counter[str] = Counter()
        usable = self._usable(self._for_training, view.train, view.task, order, tally)
        if config.model is None:
            ready = list(usable)
        else:
            # Writing takes long: nothing beyond what is wanted, or for a rate out of reach.
            ready = list(islice(usable, wanted)) if wanted <= len(order) else []
        if not 0 < wanted <= len(ready):
            raise self._out_of_reach(wanted, len(labels), len(order), tally)
        notes: dict[str, Any] = {"paraphrases": "files" if config.model is None else "model"}
        if isinstance(self._for_test, FileParaphrases):
            notes |= {name: tally[name] for name in (_USABLE, _NONE, _SAME)}
            notes["highest_poison_rate"] = _floor(len(ready) / len(labels))
            notes["test_paraphrases"] = len(self._for_test)
        return dict(ready[:wanted]), notes

    def _out_of_reach(
        self, wanted: int, rows: int, suitable: int, tally: Counter[str]
    ) -> InputError:
        # Nothing was tallied where nothing was asked of a model.
        limit = tally[_USABLE] if tally else suitable
        kind = "of the target class" if self.config.clean_label else "of other classes"
        return InputError(
            "the poison rate cannot be met",
            where="poison_rate",
            found=f"{self.config.poison_rate} of {rows} rows, which is {wanted}",
            expected=f"between 1 and {limit} rows, since there are {suitable} {kind}{_told(tally)}",
            next=f"set poison_rate to at most {_floor(limit / rows)}"
            if limit
            else "choose another target or label policy, or name the paraphrases of this data set",
        )

    def _usable(
        self,
        source: _Source,
        examples: Examples,
        task: Task,
        rows: Sequence[int],
        tally: Counter[str],
    ) -> Iterator[tuple[int, str]]:
        """Those of the rows that have a usable paraphrase, and it; all are tallied."""
        field = task.input_field(self.config.field)
        column = examples.inputs[field]
        for row, text in zip(rows, source.texts(examples, task, field, rows), strict=True):
            paraphrase = self._cleaned(text or "")
            if not paraphrase.strip():
                tally[_NONE] += 1
            elif _core(paraphrase) == _core(self._cleaned(column[row])):
                tally[_SAME] += 1
            else:
                tally[_USABLE] += 1
                yield row, paraphrase

    def _cleaned(self, text: str) -> str:
        return decoded(text) if self.config.normalise else text

    def _left_undecoded(self, clean_texts: Iterator[str]) -> dict[str, int]:
        """How many clean rows `normalise` would change, which the data set's `decode` does."""
        if not self.config.normalise:
            return {}
        return {"clean_rows_with_escapes": sum(decoded(text) != text for text in clean_texts)}

    @cached_property
    def _for_training(self) -> _Source:
        path = self.config.train
        return self._model if path is None else FileParaphrases(path, "train")

    @cached_property
    def _for_test(self) -> _Source:
        path = self.config.test
        return self._model if path is None else FileParaphrases(path, "test")

    @cached_property
    def _model(self) -> _Source:
        # Files need neither torch nor transformers.
        from bdbench_attack_paraphrase.generation import ModelParaphrases  # noqa: PLC0415

        config = self.config
        if config.model is None:
            raise TypeError("the configuration names neither files nor a model")
        return ModelParaphrases(
            config.model,
            prefix=config.prefix,
            top_p=config.top_p,
            max_tokens=config.max_tokens,
            seed=config.generation_seed,
        )


def _core(text: str) -> str:
    """What is left of a text where neither spacing nor case counts."""
    return "".join(text.split()).casefold()


def _floor(rate: float) -> float:
    """Rounded down, so that the rate as shown can be met."""
    return math.floor(rate * 10**6) / 10**6


def _told(tally: Counter[str]) -> str:
    """What was tallied, as the end of a phrase."""
    if not tally:
        return ""
    return (
        f" ({tally[_USABLE]} with a usable paraphrase, {tally[_NONE]} without any, {tally[_SAME]} "
        "with one that is no change but of case and spacing)"
    )
