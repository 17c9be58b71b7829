from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bdbench.api import Examples, InputError, Task
from bdbench_attack_paraphrase.files import FileParaphrases

TASK = Task("text-classification", ("text",), ("negative", "positive"))
GIVEN = {4: ("four", 0), 2: ("two", 1), 9: ("nine", 0)}


def examples(labels, ids):
    return Examples({"text": [f"row {row}" for row in ids]}, labels, ids)


def test_rows_are_found_by_their_ids_in_the_order_asked_for(write):
    known = FileParaphrases(write("train", GIVEN), "train")
    rows = examples([0, 1, 1, 0], [9, 3, 2, 4])
    assert len(known) == 3
    assert list(known.texts(rows, TASK, "text", [3, 1, 0])) == ["four", None, "nine"]


def test_labels_may_be_names(write):
    path = write("train", GIVEN, label=["negative", "positive", "negative"])
    rows = examples([0, 1], [4, 2])
    assert list(FileParaphrases(path, "train").texts(rows, TASK, "text", [0, 1])) == ["four", "two"]


def test_a_label_that_differs_from_the_data_sets_is_an_error(write):
    path = write("train", GIVEN)
    known = FileParaphrases(path, "train")
    with pytest.raises(InputError, match="belong to another data set or split") as caught:
        list(known.texts(examples([0, 0, 1, 0], [4, 2, 3, 9]), TASK, "text", [0]))
    assert caught.value.where == f"train: {path}"
    assert caught.value.found == (
        "1 of 3 rows with another label, for instance row 2: 1 (positive) in the file, "
        "0 (negative) in the data set"
    )


@pytest.mark.parametrize("labels", [[0, 2, 0], ["negative", "postive", "negative"]])
def test_a_label_that_is_no_class_is_an_error(write, labels):
    known = FileParaphrases(write("train", GIVEN, label=labels), "train")
    with pytest.raises(InputError, match=r"label: not a class of this task.*(2|'postive')"):
        list(known.texts(examples([0], [4]), TASK, "text", [0]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"row": [4, 4, 9]}, "more than one paraphrase.*1 such rows, for instance 4"),
        ({"row": None}, r"not paraphrases. Found text \(string\), label \(int8\)"),
        ({"row": ["4", "2", "9"]}, r"not paraphrases.*row \(string\)"),
        ({"text": None}, r"not paraphrases. Found label \(int8\), row \(int32\)"),
        ({"text": ["four", None, "nine"]}, "text: values are missing. Found 1 empty values of 3"),
        ({"label": [0, None, None]}, "label: values are missing. Found 2 empty values of 3"),
    ],
)
def test_files_that_do_not_fit_are_refused(write, columns, message):
    path = write("train", GIVEN, **columns)
    with pytest.raises(InputError, match=message):
        FileParaphrases(path, "train")


def test_labels_that_are_no_classes_by_kind_are_refused(tmp_path):
    path = tmp_path / "test.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [0.5], "row": [0]}), path)
    with pytest.raises(InputError, match=r"not paraphrases.*label \(double\)"):
        FileParaphrases(path, "test")


@pytest.mark.parametrize("content", [None, b"text,label,row\na,0,0\n"])
def test_what_is_no_parquet_file_is_refused(tmp_path, content):
    path = tmp_path / "train.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"train.parquet: the file cannot be read") as caught:
        FileParaphrases(path, "train")
    assert caught.value.where == f"train: {path}"
