"""``bdbench defend`` takes repairs, and says so."""

import pytest

from bdbench.api import SeedStream, Task
from bdbench.builtin.models_config import TinyBertConfig
from bdbench.builtin.models_tiny import TinyBert
from bdbench.cli.main import run


@pytest.mark.parametrize(
    ("name", "found"), [("onion", "stage screen"), ("none", "no stage: it does nothing")]
)
def test_what_is_no_repair_is_told_which_there_are(name, found, capsys, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    task = Task("text-classification", ("text",), ("ham", "spam"))
    TinyBert(TinyBertConfig()).prepare(task, model, SeedStream(0))
    with pytest.raises(SystemExit) as ended:
        run(["defend", str(model), "--defense", name, "--out", str(tmp_path / "out")])

    told = capsys.readouterr().err
    assert ended.value.code == 4
    assert f"--defense {name}: this defense does not repair a model. Found {found}." in told
    assert "a repair: one of e-pur, fine-mixing, " in told
    assert "onion" not in told.partition("Expected")[2].partition("Next")[0]
    assert "`bdbench show NAME`" in told


def test_the_help_says_what_it_takes(capsys):
    with pytest.raises(SystemExit):
        run(["defend", "--help"])

    told = " ".join(capsys.readouterr().out.split())
    assert "A repair; several act in order." in told
    assert "A repair is a defense that changes the model" in told
