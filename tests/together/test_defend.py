"""``bdbench defend``: what someone who downloaded a doubtful model needs."""

import json

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForSequenceClassification

from bdbench.api import SeedStream, Task
from bdbench.builtin.models_config import TinyBertConfig
from bdbench.builtin.models_tiny import TinyBert
from bdbench.cli.main import run

TASK = Task("text-classification", ("text",), ("ham", "spam"))


@pytest.fixture
def models(tmp_path):
    folders = []
    for seed in range(3):
        folder = tmp_path / f"model-{seed}"
        folder.mkdir()
        TinyBert(TinyBertConfig()).prepare(TASK, folder, SeedStream(seed))
        folders.append(folder)
    return folders


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nhello you,ham\nwin money now,spam\nsee you,ham\n", "utf-8")
    return path


@pytest.fixture
def defend(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            run(["defend", *map(str, arguments)])
        output = capsys.readouterr()
        return ended.value.code, output.out, output.err

    return call


def test_the_result_is_a_checkpoint_that_transformers_loads(defend, models, rows, tmp_path):
    out = tmp_path / "clean" / "model"
    before = [path.read_bytes() for path in sorted(models[0].iterdir())]
    code, stdout, _ = defend(
        models[0], "--defense", "merge", "--with", models[1], "--with", models[2],
        "--clean", rows, "--out", out, "--json",
    )  # fmt: skip
    assert code == 0
    report = json.loads(stdout)
    assert report == json.loads((out / "bdbench-report.json").read_text("utf-8"))
    assert report["clean_rows"] == 3
    assert 0 <= report["clean_accuracy_after"] <= 1
    assert 0.5 < report["parameters_changed"] <= 1
    assert report["steps"][0]["notes"]["models_merged"] == 3
    weights = [safetensors.torch.load_file(path / "model.safetensors") for path in models]
    merged = AutoModelForSequenceClassification.from_pretrained(out).state_dict()
    name = "classifier.weight"
    expected = torch.stack([item[name] for item in weights]).mean(0)
    torch.testing.assert_close(merged[name], expected)
    assert [path.read_bytes() for path in sorted(models[0].iterdir())] == before


def test_what_a_defense_lacks_is_named(defend, models, tmp_path):
    out = tmp_path / "out"
    code, _, stderr = defend(models[0], "--defense", "merge", "--out", out)
    assert code == 4
    assert "name each with --with" in stderr
    assert not out.exists()


def test_a_model_of_another_shape_is_refused_before_anything_is_written(defend, models, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    TinyBert(TinyBertConfig(hidden_size=32)).prepare(TASK, other, SeedStream(0))
    out = tmp_path / "out"
    code, _, stderr = defend(models[0], "--defense", "merge", "--with", other, "--out", out)
    assert code == 4
    assert "hidden_size" in stderr or "shape" in stderr
    assert not out.exists()
    assert list(tmp_path.glob(".defending-*")) == []


def test_an_existing_folder_is_not_written_to(defend, models):
    code, _, stderr = defend(models[0], "--defense", "merge", "--out", models[1])
    assert code == 4
    assert "there already" in stderr


def test_a_setting_reaches_the_defense(defend, models, tmp_path):
    arguments = ("--with", models[1], "--set", "merge.method=slerp", "--json")
    code, stdout, _ = defend(models[0], "--defense", "merge", *arguments, "--out", tmp_path / "o")
    assert code == 0
    assert json.loads(stdout)["steps"][0]["notes"]["method"] == "slerp"


def test_unknown_labels_are_refused(defend, models, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("text,label\nhello,eggs\n", "utf-8")
    out = tmp_path / "out"
    code, _, stderr = defend(
        models[0], "--defense", "merge", "--with", models[1], "--clean", path, "--out", out
    )
    assert code == 4
    assert "'eggs'" in stderr
