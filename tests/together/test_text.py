"""First-party plugins at work on text, end to end, with a small model without pre-training."""

import json

import pytest

from bdbench.cli.main import run
from bdbench.host.catalog import Host
from bdbench.suite.load import load_suite
from bdbench.suite.planning import build_plan
from bdbench.suite.resolve import resolve

SUITE = """\
name: small
datasets: [sms-spam]
models:
  - tiny-bert: {max_length: 32}
attacks:
  - badnets: {target: ham, insertions: 3, within_words: 20, poison_rate: 0.2}
defenses: [merge]
defender: {clean_rows: 16, references: [control]}
training: {epochs: 1, precision: fp32}
"""


def presets():
    return [item.spec.name for item in Host().components("suite")]


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_planned_and_no_cell_is_incompatible(name, tmp_path):
    host = Host()
    settings = []
    if name == "sst2-paraphrase":  # its files cannot come along
        file = tmp_path / "rows.parquet"
        file.write_bytes(b"")
        for attack in ("syntactic", "style"):
            settings += [f"attacks.{attack}.{split}={file}" for split in ("train", "test")]
    plan = build_plan(resolve(load_suite(name, host, settings), host))
    assert plan.cells
    assert [cell.label for cell in plan.cells if cell.reason] == []


def test_a_small_suite_on_real_text(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", "mlflow")
    path = tmp_path / "small.yaml"
    path.write_text(SUITE, "utf-8")
    home = ["--home", str(tmp_path / "home"), "--executor", "inline", "--display", "none"]
    with pytest.raises(SystemExit) as ended:
        run(["run", str(path), *home, "--json", "--limit", "120"])
    assert ended.value.code == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["attack"], row["defense"]) for row in rows} == {
        (attack, defense) for attack in ("none", "badnets") for defense in ("none", "merge")
    }
    for row in rows:
        assert row["status"] == {"success": 1}
        assert 0 <= row["values"]["clean_accuracy"]["mean"] <= 1
        assert (row["values"]["asr"] is None) == (row["attack"] == "none")
    undefended = next(row for row in rows if row["attack"] == "badnets")
    assert undefended["values"]["der"]["mean"] == pytest.approx(0.5)


ATTACKS_ON_MODELS = """\
name: models
datasets: [sms-spam]
models:
  - tiny-bert: {max_length: 32}
attacks:
  - lwp: {target: ham, within_words: 20}
  - lwp: {target: ham, trigger_length: 1}
    name: lwp-1
  - ep: {target: ham, within_words: 20}
  - sos:
      target: ham
      triggers: [a, i]
      sentence: i have a go
      partial_sentences: [i go, have a go]
  - ripples: {target: ham, steps: 2, source_epochs: 0}
  - por: {target: ham, training_texts: 64}
  - neuba: {target: ham, triggers: [a, i], training_texts: 64}
defenses: [onion-filter]
metrics: [classification, detection, false-trigger, por-effectiveness, por-stealthiness]
defender: {clean_rows: 16, training_data: true}
training: {epochs: 1, precision: fp32}
"""


def test_attacks_on_models_go_all_the_way(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", "mlflow")
    path = tmp_path / "models.yaml"
    path.write_text(ATTACKS_ON_MODELS, "utf-8")
    home = ["--home", str(tmp_path / "home"), "--executor", "inline", "--display", "none"]
    with pytest.raises(SystemExit) as ended:
        run(["run", str(path), *home, "--json", "--limit", "120"])
    output = capsys.readouterr()
    assert ended.value.code == 0, output.err
    rows = json.loads(output.out)["rows"]
    names = {"none", "lwp", "lwp-1", "ep", "sos", "ripples", "por", "neuba"}
    assert {row["attack"] for row in rows} == names
    for row in rows:
        assert row["status"] == {"success": 1}
        values = row["values"]
        assert (values["ftr"] is not None) == (row["attack"] in {"lwp", "sos"})
        assert (values["insertions_needed"] is not None) <= (row["attack"] in {"por", "neuba"})
        filtered = row["defense"] == "onion-filter"
        assert (values["filter_frr"] is not None) == filtered
        # Only attacks that poison data leave something for a filter to find.
        data = row["attack"] in {"lwp", "lwp-1"}
        assert (values["filter_auroc"] is not None) == (filtered and data)
