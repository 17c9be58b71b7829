"""``bdbench defend``: what someone who downloaded a doubtful model needs."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from transformers import AutoModelForSequenceClassification

from bdbench.api import SeedStream, Task
from bdbench.builtin.models_config import TinyBertConfig
from bdbench.builtin.models_tiny import TinyBert
from bdbench.cli.defending import make_teller
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
def many_rows(tmp_path):
    """Enough to fine-tune on."""
    path = tmp_path / "many.csv"
    lines = [f"see you at {hour},ham\nwin {hour} pounds,spam" for hour in range(8)]
    path.write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")
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


def test_the_report_tells_what_was_given_and_progress_what_goes_on(
    defend, models, many_rows, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = defend(
        models[0], "--defense", "e-pur", "--defense", "fine-tuning", "--base", models[1].name,
        "--clean", many_rows.name, "--set", "fine-tuning.epochs=2", "--max-length", 6,
        "--out", "out", "--json",
    )  # fmt: skip
    assert code == 0, stderr
    report = json.loads(stdout)
    assert report["base"] == str(models[1])
    assert report["clean_file"] == "many.csv"
    assert report["max_length"] == 6
    assert report["clean_per_class"] == {"ham": 8, "spam": 8}
    assert report["clean_blank"] == 0
    assert report["clean_cut"] == 16
    (warning,) = report["warnings"]
    assert "16 of 16 clean rows are longer" in warning
    lines = stderr.splitlines()
    assert lines[1:] == [
        f"warning: {warning}",
        "[1/2] e-pur ...",
        lines[3],
        "[2/2] fine-tuning ...",
        "  pass 1 of 2 over 16 rows",
        "  pass 2 of 2 over 16 rows",
        lines[7],
    ]
    assert lines[3].startswith("[1/2] e-pur: done after ")
    assert lines[7].startswith("[2/2] fine-tuning: done after ")


def test_progress_is_one_line_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with make_teller() as teller:
        teller.now("[1/1] a [bold] name ...")
        teller.done("[1/1] done \x1b[31m")
    written = capsys.readouterr().err
    assert "\x1b[?25l" in written  # the cursor is hidden while the line changes
    assert "a [bold] name" in written
    assert "\x1b[31m" not in written


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (["see you,ham", "bye now,ham"], "no clean row of 'spam'"),
        (["see you,ham", '" ",spam'], "1 of 2 clean rows have an empty text"),
    ],
)
def test_rows_whose_accuracy_means_little_are_warned_of(defend, models, tmp_path, lines, warning):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")
    out = tmp_path / "out"
    code, _, stderr = defend(
        models[0], "--defense", "merge", "--with", models[1], "--clean", path, "--out", out
    )
    assert code == 0
    assert f"warning: {warning}" in stderr
    report = json.loads((out / "bdbench-report.json").read_text("utf-8"))
    assert [text[: len(warning)] for text in report["warnings"]] == [warning]


@pytest.fixture
def adapters(tmp_path):
    """LoRA adapters as PEFT saves them: neither config.json nor a tokenizer."""
    folders = []
    for seed in range(2):
        folder = tmp_path / f"adapter-{seed}"
        folder.mkdir()
        draw = torch.Generator().manual_seed(seed)
        shapes = {"lora_A": (2, 5), "lora_B": (6, 2)}
        weights = {
            f"base_model.model.query.{name}.weight": torch.randn(shape, generator=draw)
            for name, shape in shapes.items()
        }
        safetensors.torch.save_file(weights, folder / "adapter_model.safetensors")
        settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["query"]}
        (folder / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
        folders.append(folder)
    return folders


@pytest.mark.parametrize("how", ["factors", "products"])
def test_adapters_are_merged(defend, adapters, tmp_path, how):
    out = tmp_path / "out"
    code, stdout, stderr = defend(
        adapters[0], "--defense", "merge", "--with", adapters[1], "--set", f"merge.lora={how}",
        "--out", out, "--json",
    )  # fmt: skip
    assert code == 0, stderr
    report = json.loads(stdout)
    assert report["classes"] == []
    assert report["clean_accuracy_before"] is None
    assert report["parameters_changed"] > 0.9
    assert (out / "adapter_config.json").is_file()
    a, b = (
        [
            safetensors.torch.load_file(folder / "adapter_model.safetensors")[
                f"base_model.model.query.lora_{side}.weight"
            ]
            for folder in (*adapters, out)
        ]
        for side in "AB"
    )
    if how == "factors":
        torch.testing.assert_close(a[2], (a[0] + a[1]) / 2)
    else:
        torch.testing.assert_close(b[2] @ a[2], (b[0] @ a[0] + b[1] @ a[1]) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--defense", "merge", "--clean", "rows.csv"), "leave --clean out"),
        (("--defense", "e-pur", "--base", "model-0"), "fold the adapter into its base"),
    ],
)
def test_what_an_adapter_cannot_do_is_said(
    defend, adapters, models, rows, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = defend(adapters[0], *arguments, "--with", adapters[1], "--out", "out")
    assert code == 4
    assert message in stderr


def test_what_a_defense_lacks_is_named(defend, models, tmp_path):
    out = tmp_path / "out"
    code, _, stderr = defend(models[0], "--defense", "merge", "--out", out)
    assert code == 4
    assert "name each with --with" in stderr
    assert not out.exists()


def test_a_file_without_rows_gives_none(defend, models, tmp_path):
    path = tmp_path / "none.parquet"
    nothing = {"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}
    pq.write_table(pa.table(nothing), path)
    out = tmp_path / "out"
    code, _, stderr = defend(models[0], "--defense", "fine-tuning", "--clean", path, "--out", out)
    assert code == 4
    assert "found 0 clean rows" in stderr.lower()
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


@pytest.fixture
def downloaded(models):
    """A victim as it may lie on a hub: in bf16, with a buffer that is computed nowadays."""
    folder = models[0]
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights = {name: value.bfloat16() for name, value in weights.items()}
    weights["bert.embeddings.position_ids"] = torch.arange(512)[None]
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8")) | {"dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def test_the_base_of_a_downloaded_model_takes_its_form(
    defend, downloaded, models, many_rows, tmp_path
):
    """Reset to the base, the body is the base's in the victim's type; the head stays."""
    out = tmp_path / "out"
    settings = ("--set", "fine-mixing.rho=0", "--set", "fine-mixing.learning_rate=1e-30")
    code, _, stderr = defend(
        downloaded, "--defense", "e-pur", "--defense", "fine-mixing", "--base", models[1],
        "--clean", many_rows, *settings, "--out", out,
    )  # fmt: skip
    assert code == 0, stderr
    mixed = safetensors.torch.load_file(out / "model.safetensors")
    base = safetensors.torch.load_file(models[1] / "model.safetensors")
    victim = safetensors.torch.load_file(downloaded / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    torch.testing.assert_close(mixed[name], base[name].bfloat16(), rtol=0, atol=0)
    head = "classifier.weight"
    torch.testing.assert_close(mixed[head], victim[head], rtol=0, atol=0)
    assert {value.dtype for value in mixed.values()} == {torch.bfloat16}
    assert json.loads((out / "config.json").read_text("utf-8"))["dtype"] == "bfloat16"


def test_classes_without_names_have_those_of_transformers(defend, downloaded, models, tmp_path):
    """It writes ``id2label`` down only where it differs from LABEL_0 and LABEL_1."""
    for folder in models[:2]:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        del config["id2label"], config["label2id"]
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    out = tmp_path / "out"
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nsee you,LABEL_0\nwin money,LABEL_1\n", "utf-8")
    code, stdout, stderr = defend(
        models[0], "--defense", "e-pur", "--base", models[1], "--clean", path, "--out", out,
        "--json",
    )  # fmt: skip
    assert code == 0, stderr
    assert json.loads(stdout)["clean_per_class"] == {"LABEL_0": 1, "LABEL_1": 1}


def test_a_model_without_a_head_is_refused(defend, models, tmp_path):
    config = json.loads((models[0] / "config.json").read_text("utf-8"))
    del config["id2label"]
    config["architectures"] = ["BertModel"]
    (models[0] / "config.json").write_text(json.dumps(config), "utf-8")
    code, _, stderr = defend(models[0], "--defense", "e-pur", "--out", tmp_path / "out")
    assert code == 4
    assert "which classes it has" in stderr


def test_e_pur_leaves_a_downloaded_model_in_its_own_form(defend, downloaded, models, tmp_path):
    out = tmp_path / "out"
    code, stdout, _ = defend(
        downloaded, "--defense", "e-pur", "--base", models[1], "--out", out, "--json"
    )
    assert code == 0
    weights = safetensors.torch.load_file(out / "model.safetensors")
    assert weights["classifier.weight"].dtype == torch.bfloat16
    assert weights["bert.embeddings.position_ids"].shape == (1, 512)
    assert json.loads(stdout)["steps"][0]["notes"]["tokens_put_back"] == 200


def test_a_base_with_other_tokens_is_refused(defend, models, tmp_path):
    path = models[1] / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    tokens = document["model"]["vocab"]
    tokens["a"], tokens["b"] = tokens["b"], tokens["a"]
    path.write_text(json.dumps(document), "utf-8")
    out = tmp_path / "out"
    code, _, stderr = defend(models[0], "--defense", "e-pur", "--base", models[1], "--out", out)
    assert code == 4
    assert "tokenizer" in stderr
    assert not out.exists()
