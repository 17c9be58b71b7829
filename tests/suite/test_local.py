"""A local copy in place of a data set of the hub."""

from __future__ import annotations

import pytest

from bdbench.api import InputError
from bdbench.suite.load import load_suite

COMMIT = "8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb"
TEXT = f"""\
name: s
datasets:
  - other
  - hf:stanfordnlp/sst2@{COMMIT}:
      text: sentence
      test: validation
      classes: [negative, positive]
      duplicates: drop
      decode: true
    name: reviews
  - hf:org/pairs@{COMMIT}: {{text: question, text_pair: answer}}
models: [m]
attacks: [a]
defenses: [d]
"""


@pytest.fixture
def load(tmp_path, toy_host):
    def load(*local, overrides=(), text=TEXT):
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return load_suite(str(path), toy_host, overrides, local)

    return load


@pytest.fixture
def folder(tmp_path):
    """A folder with files of these names."""

    def folder(*names):
        made = tmp_path / "copy"
        made.mkdir(exist_ok=True)
        for name in names:
            (made / name).write_bytes(b"")
        return made

    return folder


def test_the_files_take_the_place_and_the_name_of_the_data_set(load, folder):
    made = folder("train.parquet", "test.csv", "validation.jsonl")
    suite = load(f"reviews={made}")

    assert [entry.label for entry in suite.datasets] == ["other", "reviews", "pairs"]
    entry = suite.datasets[1]
    assert entry.component == "bdbench/files"
    assert entry.config == {
        "train": str(made / "train.parquet"),
        "test": str(made / "test.csv"),
        "clean": str(made / "validation.jsonl"),
        "classes": ["negative", "positive"],
        "duplicates": "drop",
        "decode": True,
    }


def test_without_validation_clean_rows_are_held_out(load, folder):
    made = folder("train.parquet", "test.parquet")

    assert "clean" not in load(f"reviews={made}").datasets[1].config


def test_pairs_stay_pairs(load, folder):
    made = folder("train.parquet", "test.parquet")

    assert load(f"pairs={made}").datasets[2].config["text_pair"] == "text_pair"


def test_a_bare_name_can_be_replaced_and_settings_follow(load, folder):
    made = folder("train.parquet", "test.parquet")
    suite = load(f"other={made}", overrides=["datasets.other.duplicates=drop"])

    assert suite.datasets[0].config["duplicates"] == "drop"
    assert suite.datasets[0].config["train"] == str(made / "train.parquet")


@pytest.mark.parametrize("text", ["reviews", "review=x", "=x", "hf:stanfordnlp/sst2=x"])
def test_only_data_sets_of_the_suite_can_be_replaced(load, text):
    with pytest.raises(InputError, match="a local copy does not fit") as caught:
        load(text)

    assert "other, reviews, pairs" in str(caught.value)


def test_the_home_of_nobody_is_refused(load):
    with pytest.raises(InputError, match="a user who is not known here") as caught:
        load("reviews=~nobody-at-all/data")

    assert caught.value.where == "--data reviews=~nobody-at-all/data"


@pytest.mark.parametrize("text", ["[a]", "name: s", "{name: s, datasets: x}"])
def test_a_suite_that_does_not_fit_is_refused_for_that(load, folder, text):
    with pytest.raises(InputError) as caught:
        load(f"reviews={folder('train.parquet', 'test.parquet')}", text=text)

    assert caught.value.what != "a local copy does not fit"


@pytest.mark.parametrize(
    "names", [(), ("train.parquet",), ("train.parquet", "test.csv", "test.parquet")]
)
def test_each_split_is_one_file(load, folder, names):
    with pytest.raises(InputError, match="does not hold one file of each split"):
        load(f"reviews={folder(*names)}")
