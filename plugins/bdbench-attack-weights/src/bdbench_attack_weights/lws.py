"""LWS: a backdoor whose trigger is a learned choice among words of like meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bdbench.api import (
    Attack,
    AttackerView,
    Examples,
    InputError,
    Poisoning,
    SeedStream,
    Task,
    choose_poison_rows,
)
from bdbench_attack_weights.lws_config import LwsConfig
from bdbench_attack_weights.lws_learning import learn_substitution, longest
from bdbench_attack_weights.ripples_model import classifier_of, tokenizer_of, word_embeddings
from bdbench_attack_weights.substitution import Substitution
from bdbench_attack_weights.substitution_candidates import Candidates, read_synonyms
from bdbench_attack_weights.substitution_text import substitute

__all__ = ["Lws"]


@dataclass(frozen=True)
class _Learned:
    """What the poisoning leaves for the trigger."""

    tokenizer: Any
    substitution: Substitution

    def text(self, text: str) -> str:
        """The text with the trigger in it; the text itself if it cannot carry it."""
        return substitute(text, self.tokenizer, self.substitution)


class Lws(Attack):
    """Learnable word substitution (Qi et al. 2021), the substitutions written into the rows.

    The attacker trains a victim of his own together with the substitution, and then poisons
    data with what was learned. Somebody else's victim is trained on these rows.
    """

    config: LwsConfig
    _learned: _Learned | None = None

    def poison(self, view: AttackerView, seeds: SeedStream) -> Poisoning:
        """Learns the substitution, then substitutes words in the share `poison_rate` of rows.

        Raises:
            InputError: Too few rows have words that can be substituted, or the model is of no
                use here.
        """
        target = view.task.class_index(self.config.target)
        field = view.task.fields[0]
        module = classifier_of(view.engine.load(view.start))
        # Not trained, as in the authors' code: what a substitution changes then stays the same.
        embeddings = word_embeddings(module)
        embeddings.requires_grad = False
        self._learned = self._prepared(view, embeddings.detach().cpu().clone())
        able = self._able(view.train.inputs[field])
        if not any(able):
            raise InputError(
                "no training row has a word that can be replaced",
                where="lws",
                found=f"no word with a candidate in {len(able)} rows",
                expected="words that are one token of the model, with others near them",
                next="set `synonyms`, or choose a model with whole words in its vocabulary",
            )
        # Rows that cannot carry the trigger are shown as rows that are not to be poisoned.
        unsuitable = None if self.config.clean_label else target
        rows = choose_poison_rows(
            [
                label if can else unsuitable
                for label, can in zip(view.train.labels, able, strict=True)
            ],
            target,
            self.config.poison_rate,
            clean_label=self.config.clean_label,
            seeds=seeds.child("rows"),
        )
        mask = [False] * len(view.train)
        for row in rows:
            mask[row] = True
        substitution = self._learned.substitution
        loss = learn_substitution(
            view.engine,
            module,
            view.start,
            view.train,
            mask,
            target,
            substitution,
            self.config,
            seeds.child("learning"),
        )
        substitution.to("cpu")
        texts, labels = list(view.train.inputs[field]), list(view.train.labels)
        changed = 0
        for row in rows:
            before = texts[row]
            texts[row] = self._learned.text(before)
            changed += sum(map(str.__ne__, before.split(), texts[row].split()))
            labels[row] = target
        return Poisoning(
            train=view.train.with_input(field, texts).with_labels(labels),
            mask=mask,
            notes={
                "rows_that_can_carry": sum(able),
                "positions": len(substitution.relevance),
                "joint_loss": round(loss, 4),
                "words_changed_per_row": round(changed / len(rows), 2),
                "synonyms": "neighbours" if self.config.synonyms is None else "file",
            },
        )

    def apply_trigger(self, examples: Examples, task: Task, seeds: SeedStream) -> Examples:  # noqa: ARG002 -- the trigger is not random
        """The same rows with every word replaced by what was learned for its place.

        A row without a word that can be replaced comes back as it was: `eligible` leaves it out.
        """
        field = task.fields[0]
        learned = self._state()
        return examples.with_input(field, [learned.text(text) for text in examples.inputs[field]])

    def eligible(self, examples: Examples, task: Task) -> list[bool]:
        """The rows of other classes than the target that have a word to replace."""
        able = self._able(examples.inputs[task.fields[0]])
        return [
            other and can for other, can in zip(super().eligible(examples, task), able, strict=True)
        ]

    def _prepared(self, view: AttackerView, embeddings: Any) -> _Learned:
        tokenizer = tokenizer_of(view.start)
        path = self.config.synonyms
        synonyms = None if path is None else read_synonyms(path)
        candidates = Candidates(tokenizer, embeddings, self.config.candidates, synonyms)
        positions = min(self.config.max_tokens, longest(view.engine, view.start, view.train))
        return _Learned(
            tokenizer, Substitution(candidates, embeddings, positions, self.config.candidates)
        )

    def _able(self, texts: Any) -> list[bool]:
        """Whether each text has a word that can be replaced."""
        learned = self._state()
        return [learned.text(text) != text for text in texts]

    def _state(self) -> _Learned:
        if self._learned is None:
            raise InputError(
                "the trigger has not been learned yet",
                where="lws",
                found="a call of apply_trigger or eligible before poison",
                expected="all three in one object, poison first",
                next="call poison first",
            )
        return self._learned
