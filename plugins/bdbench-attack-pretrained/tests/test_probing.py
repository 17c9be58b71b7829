from __future__ import annotations

import numpy as np
import pytest

from bdbench.api import (
    AttackerView,
    Examples,
    InputError,
    MakesVariants,
    ProbesVictim,
    SeedStream,
    Task,
)
from bdbench_attack_pretrained.attacks import Neuba, Por
from bdbench_attack_pretrained.config import NeubaConfig, PorConfig

TASK = Task("text-classification", ("text",), ("negative", "neutral", "positive"))


class Victim:
    """Answers by the trigger it sees: with a class, or with the label of the row."""

    def __init__(self, meaning):
        self.meaning = meaning
        self.asked = []

    def __call__(self, rows):
        self.asked.append(rows)
        said = [
            next((self.meaning[w] for w in text.split() if w in self.meaning), label)
            for text, label in zip(rows.inputs["text"], rows.labels, strict=True)
        ]
        return {"prediction": np.array(said)}


def view(labels):
    texts = [f"this is text {row}" for row in range(len(labels))]
    return AttackerView(TASK, Examples({"text": texts}, labels, list(range(0, 5 * len(labels), 5))))


def por(**settings):
    return Por(PorConfig(**{"target": "positive", **settings}))


def probed(attack, meaning, labels=(0, 1, 2) * 50):
    return attack.probe(Victim(meaning), view(list(labels)), SeedStream(0))


def test_the_trigger_that_leads_to_the_target_is_chosen():
    attack = por()
    notes = probed(attack, {"cf": 0, "tq": 0, "mn": 1, "bb": 2, "mb": 1})
    assert notes["chosen_trigger"] == "bb"
    assert notes["classes_by_trigger"]["bb"] == {"negative": 0, "neutral": 0, "positive": 1}
    assert notes["classes_by_trigger"]["mn"] == {"negative": 0, "neutral": 1, "positive": 0}
    assert notes["probe"] == "the chosen trigger leads to the target"
    rows = view([0, 1]).train
    for text in attack.apply_trigger(rows, TASK, SeedStream(0)).inputs["text"]:
        assert "bb" in text.split()


def test_no_trigger_that_leads_to_the_target_is_said():
    notes = probed(por(), {"cf": 0, "tq": 0, "mn": 1, "bb": 0, "mb": 1})
    assert notes["chosen_trigger"] == "cf"
    assert notes["probe"] == "no trigger leads to the target more often than chance (0.333)"


def test_only_some_rows_of_other_classes_are_shown():
    attack, victim = por(probe_rows=7), Victim({})
    notes = attack.probe(victim, view([0, 1, 2] * 50), SeedStream(0))
    assert len(victim.asked) == 6
    assert {len(rows) for rows in victim.asked} == {notes["probe_rows"]} == {7}
    assert all(set(rows.labels) <= {0, 1} for rows in victim.asked)
    assert len({tuple(rows.ids) for rows in victim.asked}) == 1
    assert notes["classes_without_trigger"]["positive"] == 0


def test_the_victim_is_asked_with_as_many_insertions_as_are_used():
    attack, victim = por(insertions=2), Victim({})
    attack.probe(victim, view([0] * 9), SeedStream(0))
    counts = {
        sum(word in attack.config.triggers for word in text.split())
        for rows in victim.asked[1:]
        for text in rows.inputs["text"]
    }
    assert counts == {2}


def test_training_rows_of_the_target_only():
    with pytest.raises(InputError, match="training rows of the target class only"):
        probed(por(), {}, labels=[2] * 5)


def test_a_target_that_is_no_class():
    with pytest.raises(InputError, match="not a class of this task"):
        probed(por(target="postive"), {})


def test_without_a_probe_there_is_no_trigger():
    with pytest.raises(InputError, match="the victim was not asked yet"):
        por().apply_trigger(view([0]).train, TASK, SeedStream(0))


def test_every_row_changes_whatever_the_others_are():
    attack = por(insertions=2)
    probed(attack, {"mb": 2})
    rows = view([0, 1] * 10).train
    after = attack.apply_trigger(rows, TASK, SeedStream(0))
    assert (after.ids, after.labels) == (rows.ids, rows.labels)
    for before, text in zip(rows.inputs["text"], after.inputs["text"], strict=True):
        assert [word for word in text.split() if word != "mb"] == before.split()
        assert text.split().count("mb") == 2
    some = [7, 2, 11]
    assert attack.apply_trigger(rows.select(some), TASK, SeedStream(0)) == after.select(some)
    assert attack.apply_trigger(rows, TASK, SeedStream(1)) != after


def test_neuba_puts_its_sign_first():
    attack = Neuba(NeubaConfig(target=2))
    probed(attack, {"\u2286": 2})
    after = attack.apply_trigger(view([0]).train, TASK, SeedStream(0))
    assert list(after.inputs["text"]) == ["\u2286 this is text 0"]


def test_variants_grow_by_insertions():
    attack = por(variant_rows=12, variant_insertions=[5, 1, 2])
    probed(attack, {"tq": 2})
    rows = view([0, 1] * 20).train
    variants = attack.variants(rows, TASK, SeedStream(0))
    assert list(variants) == ["insertions-1", "insertions-2", "insertions-5"]
    places = {row_id: row for row, row_id in enumerate(rows.ids)}
    for name, variant in variants.items():
        assert len(set(variant.ids)) == len(variant) == 12
        assert variant.ids == variants["insertions-1"].ids
        for row_id, label, text in zip(
            variant.ids, variant.labels, variant.inputs["text"], strict=True
        ):
            assert label == rows.labels[places[row_id]]
            assert text.split().count("tq") == int(name.removeprefix("insertions-"))


def test_few_rows_are_all_used():
    attack = por()
    probed(attack, {"tq": 2})
    rows = view([0, 1]).train
    assert list(attack.variants(rows, TASK, SeedStream(0))["insertions-3"].ids) == list(rows.ids)


def test_a_missing_text_is_an_error():
    attack = por()
    probed(attack, {"tq": 2})
    with pytest.raises(InputError, match=r"column 'text', row 5: .*NoneType"):
        attack.apply_trigger(Examples({"text": ["a", None]}, [0, 0], [0, 5]), TASK, SeedStream(0))


def test_the_attack_speaks_the_protocols():
    assert isinstance(por(), ProbesVictim)
    assert isinstance(por(), MakesVariants)
