"""What a language model says of the words of texts, each distinct text asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from bdbench_defense_onion.config import OnionConfig, Precision

__all__ = ["LanguageModel", "Scorer", "Verdict", "scorer_for"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a language model says of a text.

    Attributes:
        scores: The suspicion of each word, PPL(text) - PPL(text without the word) (Qi et al.
            2021, section 3). None where one of the two is not defined: such a word stays.
        parts: In how many parts the text was judged; more than one if it is too long for the
            model.
    """

    scores: tuple[float | None, ...]
    parts: int = 1


class LanguageModel(Protocol):
    """Judges words.

    Attributes:
        facts: What it is, for the record.
    """

    facts: Mapping[str, Any]

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """What it says of each text; but for rounding, a function of that text alone."""
        ...


class Scorer:
    """A language model that remembers: texts come again, under many victims.

    Args:
        model: Who judges.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._known: dict[str, Verdict] = {}

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the language model is."""
        return self._model.facts

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """What the language model says of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._model.judge(new), strict=True))
        return [self._known[text] for text in texts]


def scorer_for(config: OnionConfig) -> Scorer:
    """The scorer of these settings; within a process all defenses with equal ones share it.

    Raises:
        InputError: The language model cannot be had or used.
    """
    source = config.language_model
    if source is None:
        return _unigram()
    # Brings in transformers, which the unigram model does without.
    from bdbench.toolkit.hub_models import hub_folder  # noqa: PLC0415

    folder = hub_folder(source, where="onion: language_model")
    description = folder / "config.json"
    # A folder that was written anew is another one.
    written = description.stat().st_mtime_ns if description.is_file() else 0
    return _causal(folder, written, config.precision, config.max_tokens)


@lru_cache(maxsize=1)
def _unigram() -> Scorer:
    from bdbench_defense_onion.unigram import UnigramModel  # noqa: PLC0415

    return Scorer(UnigramModel())


@lru_cache(maxsize=1)
def _causal(folder: Path, written: int, precision: Precision, max_tokens: int) -> Scorer:  # noqa: ARG001 -- part of the key
    from bdbench_defense_onion.causal import CausalModel  # noqa: PLC0415

    return Scorer(CausalModel(folder, precision=precision, max_tokens=max_tokens))
