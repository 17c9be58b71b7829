"""Data sets of the hub: a folder that `datasets` reads, really, takes its place."""

from __future__ import annotations

import json

import datasets
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from pydantic import ValidationError

from bdbench.api import InputError
from bdbench.builtin.datasets_config import HubDatasetConfig
from bdbench.builtin.datasets_hub import HubDataset

COMMIT = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
TRAIN = [{"text": f"train {n}", "label": n % 2} for n in range(20)]
TEST = [{"text": f"test {n}", "label": n % 2} for n in range(4)]
CLEAN = [{"text": f"clean {n}", "label": n % 2} for n in range(6)]


def hub(**settings):
    return HubDataset(HubDatasetConfig(name="owner/reviews", revision=COMMIT, **settings))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder that `datasets` reads, really, when it is asked for owner/reviews."""
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    for split, rows in {"train": TRAIN, "test": TEST, "validation": CLEAN}.items():
        table = datasets.Dataset.from_list(rows)
        table = table.cast_column("label", datasets.ClassLabel(names=["bad", "good"]))
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    real = datasets.load_dataset_builder

    def fake(name, subset, *, revision):
        assert (name, revision) == ("owner/reviews", COMMIT)
        return real(str(folder), subset, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset_builder", fake)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_hub_data_set_is_read_with_its_class_names(repository):
    splits = hub(clean="validation").load()
    assert splits.task.classes == ("bad", "good")
    assert splits.train.inputs["text"] == [row["text"] for row in TRAIN]
    assert splits.test.labels == [0, 1, 0, 1]
    assert len(splits.clean) == 6
    assert splits.notes == {"clean_pool": "a split of its own", "commits": []}


def test_class_names_of_the_suite_come_first(repository):
    assert hub(classes=["no", "yes"]).load().task.classes == ("no", "yes")


def test_numbers_of_the_hub_count_whatever_the_classes_are_called(repository):
    assert hub(classes=["1", "0"]).load().test.labels == [0, 1, 0, 1]


def test_the_commit_behind_a_tag_is_noted(repository, monkeypatch):
    fake = datasets.load_dataset_builder

    def on_the_hub(*args, **kwargs):
        builder = fake(*args, **kwargs)
        builder.download_and_prepare()
        monkeypatch.setattr(builder, "download_and_prepare", lambda: None)
        place = f"hf://datasets/owner/reviews@{COMMIT}/data/train.parquet"
        builder.config.data_files = {"train": [place]}
        return builder

    monkeypatch.setattr(datasets, "load_dataset_builder", on_the_hub)
    assert hub().load().notes["commits"] == [COMMIT]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": "trian"}, "no split 'trian'.*set `train: train`"),
        ({"clean": "dev"}, "no split 'dev'. Found the splits train, validation, test"),
        ({"subset": "sst2"}, "cannot be read as asked.*'sst2' not found"),
        ({"text": "sentence"}, "no column 'sentence'"),
    ],
)
def test_what_the_data_set_does_not_have_is_named(repository, settings, message):
    with pytest.raises(InputError, match=message):
        hub(**settings).load()


def test_unlabelled_splits_are_named_as_such(repository):
    table = pq.read_table(repository / "data" / "test-00000-of-00001.parquet")
    hidden = table.set_column(1, table.schema.field("label"), [pa.array([-1] * 4)])
    pq.write_table(hidden, repository / "data" / "test-00000-of-00001.parquet")
    with pytest.raises(InputError, match=r"test: label.*name a split that has labels"):
        hub().load()


def test_only_parquet_is_read(repository):
    for path in (repository / "data").iterdir():
        pyarrow.csv.write_csv(pa.Table.from_pylist(TRAIN), path.with_suffix(".csv"))
        path.unlink()
    with pytest.raises(InputError, match=r"not stored as Parquet.*\.csv.*refs/convert/parquet"):
        hub().load()


def test_a_local_folder_of_the_same_name_is_not_read_by_accident(tmp_path, monkeypatch):
    (tmp_path / "owner" / "reviews").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="a folder on this machine has the name"):
        hub().load()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach 'owner/reviews' on the Hub"),
        OfflineModeIsEnabled("offline"),
        datasets.exceptions.DatasetNotFoundError("Dataset 'owner/reviews' is a gated dataset"),
    ],
)
def test_an_unreachable_hub_is_an_input_error(monkeypatch, tmp_path, error):
    def fail(*_, **__):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset_builder", fail)
    with pytest.raises(InputError, match=r"HF_HUB_OFFLINE=1.*`files`") as raised:
        hub().load()
    assert str(error) in raised.value.found


NO_REVISIONS = [None, "", "main", "refs/convert/parquet", "<commit>", "v 1", "a<b", "x>"]


@pytest.mark.parametrize("revision", NO_REVISIONS)
def test_a_revision_must_be_fixed(revision):
    settings = {"name": "owner/reviews"} | ({} if revision is None else {"revision": revision})
    with pytest.raises(InputError, match="add the line `revision: <40 hex digits>`"):
        HubDatasetConfig.model_validate_json(json.dumps(settings))


def test_a_hub_name_has_an_owner():
    with pytest.raises(ValidationError, match="name"):
        HubDatasetConfig(name="imdb", revision=COMMIT)
