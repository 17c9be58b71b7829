"""The whole pipeline on a task without text: vectors in, classes out."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[1] / "toy" / "suite.yaml"


def files(home):
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.glob("store/objects/*/*/files/**/*")
        if path.is_file()
    }


def test_the_same_command_again_computes_nothing(bdbench, toy_run):
    home, first = toy_run
    before = files(home)
    again = bdbench("run", SUITE, "--home", home, "--display", "plain", check=0)
    assert "28 cells, 0 stages to run" in again.stderr
    assert again.stdout == first.stdout
    assert files(home) == before


def test_another_home_gives_the_same_bytes(bdbench, toy_run, tmp_path):
    home, _ = toy_run
    options = ("--attack", "toy-patch", "--defense", "toy-tune", "--seeds", "0")
    bdbench("run", SUITE, "--home", tmp_path, "--display", "none", *options, check=0)
    other, mine = files(tmp_path), files(home)
    assert len(other) > 10
    assert other.items() <= mine.items()


def test_without_processes_the_results_are_the_same(bdbench_here, toy_run, tmp_path):
    home, _ = toy_run
    options = ("--defense", "toy-mean", "--seeds", "1", "--executor", "inline")
    code, _, _ = bdbench_here("run", SUITE, "--home", tmp_path, "--display", "none", *options)
    assert code == 0
    assert files(tmp_path).items() <= files(home).items()


def test_another_attack_reuses_what_is_there(bdbench, toy_run, tmp_path):
    home, _ = toy_run
    text = SUITE.read_text("utf-8").replace(
        "defenses:", "  - toy-patch: {poison_rate: 0.3}\n    name: stronger\ndefenses:"
    )
    suite = tmp_path / "more.yaml"
    suite.write_text(text, "utf-8")
    plan = json.loads(bdbench("run", suite, "--home", home, "--plan", "--json", check=0).stdout)
    status = {}
    for cell in plan["cells"]:
        status.setdefault(cell["attack"], set()).add(cell["status"])
    assert status == {"none": {"cached"}, "toy-patch": {"cached"}, "stronger": {"to run"}}
    # The control and its references are there: two new victims, one for each seed.
    assert plan["stages_to_run"]["victim"] == 2


@pytest.mark.parametrize(
    ("defense", "code", "reason"),
    [
        ("toy-nan", 4, "weights are not finite"),
        ("toy-crash", 1, "a component's process ended without an answer"),
        ("toy-peek", 4, "Needs(training_data=True)"),
    ],
)
def test_a_failing_defense_fails_its_cell_and_no_other(
    bdbench, toy_run, tmp_path, of, defense, code, reason
):
    home, _ = toy_run
    suite = tmp_path / "failing.yaml"
    text = SUITE.read_text("utf-8").replace("toy-clip, toy-filter, [toy-mean, toy-clip]", defense)
    suite.write_text(text, "utf-8")
    result = bdbench("run", suite, "--home", home, "--display", "none", "--json", "--seeds", "0")
    assert result.returncode == code
    comparison = json.loads(result.stdout)
    rows = comparison["rows"]
    failed = [row for row in rows if row["defense"] == defense]
    assert [row["status"] for row in failed] == [{"failed": 1}] * 2
    assert all(reason in row["reasons"][0] for row in failed)
    assert all(row["values"]["clean_accuracy"] is None for row in failed)
    others = [row for row in rows if row["defense"] != defense]
    assert all(row["status"] == {"success": 1} for row in others)
    assert reason in result.stderr
    # Its victim was trained all the same.
    lines = (home / "runs" / comparison["run_id"] / "records.jsonl").read_text("utf-8")
    costs = of(map(json.loads, lines.splitlines()), "toy-patch", defense)["costs"]
    assert costs["victim"]["gradient_steps"] > 0
    assert "treated" not in costs


def test_a_damaged_object_is_computed_anew_and_kept_aside(bdbench, toy_run, records, of):
    home, _ = toy_run
    before = files(home)
    key = of(records, "toy-patch", "toy-mean")["stages"]["scores"]
    path = home / "store" / "objects" / key[:2] / key / "files" / "scores.json"
    path.write_text(path.read_text("utf-8").replace("0", "1", 1), "utf-8")
    result = bdbench("run", SUITE, "--home", home, "--display", "none", check=0)
    assert files(home) == before
    assert len(list(home.glob(f"store/quarantine/{key}.*.why.txt"))) == 1
    assert "success" not in result.stderr


def test_damaged_weights_are_found_when_they_are_needed(bdbench, toy_run, records, of):
    home, _ = toy_run
    before = files(home)
    stages = of(records, "toy-patch", "toy-base")["stages"]
    victim = home / "store/objects" / stages["treated"][:2] / stages["treated"]
    weights = victim / "files" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    for role in ("scores", "predictions_clean"):
        folder = home / "store/objects" / stages[role][:2] / stages[role]
        folder.rename(home / f"gone-{role}")
    bdbench("run", SUITE, "--home", home, "--display", "none", check=0)
    assert files(home) == before


@pytest.mark.parametrize(
    ("defense", "setting", "reason"),
    [
        ("toy-sleep", "deadline_minutes=0.02", "killed at its deadline"),
        ("toy-hoard", "memory_gib=0.5", "killed for its memory"),
    ],
)
def test_a_component_that_takes_too_much_is_stopped(
    bdbench, toy_run, tmp_path, defense, setting, reason
):
    home, _ = toy_run
    suite = tmp_path / "greedy.yaml"
    text = SUITE.read_text("utf-8").replace("toy-clip, toy-filter, [toy-mean, toy-clip]", defense)
    suite.write_text(text, "utf-8")
    options = ("--home", home, "--json", "--seeds", "0", "--defense", defense)

    result = bdbench("run", suite, *options, "--executor-set", setting, check=1)

    rows = [row for row in json.loads(result.stdout)["rows"] if row["defense"] == defense]
    assert [row["status"] for row in rows] == [{"failed": 1}] * 2
    assert all(reason in row["reasons"][0] for row in rows)


def test_a_setting_that_the_executor_does_not_have_is_told(bdbench, tmp_path):
    result = bdbench("run", SUITE, "--home", tmp_path, "--executor-set", "isolation=walls", check=4)

    assert "isolation" in result.stderr
    assert "'namespace'" in result.stderr


def test_after_a_kill_the_same_command_continues(environment, bdbench, toy_run, tmp_path):
    import signal
    import subprocess
    import sys

    home, _ = toy_run
    options = ("--home", str(tmp_path), "--display", "plain", "--seeds", "0", "--attack")
    command = [sys.executable, "-m", "bdbench", "run", str(SUITE), *options, "toy-patch"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("[6/"):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    time.sleep(1)  # workers see the end of their parent and end too
    partial = files(tmp_path)
    assert partial.items() <= files(home).items()
    result = bdbench(*command[3:], check=0)
    said = int(result.stderr.split(" cells, ")[1].split(" stages")[0])
    assert 0 < said <= 45 - 6
    assert files(tmp_path).items() <= files(home).items()
    assert len(files(tmp_path)) > len(partial)


def test_interrupting_ends_with_2_and_says_how_to_go_on(environment, tmp_path):
    import signal
    import subprocess
    import sys

    options = ("--home", str(tmp_path), "--display", "plain")
    command = [sys.executable, "-m", "bdbench", "run", str(SUITE), *options]
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, the shell has Ctrl-C ignored for all of them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in process.stderr:
        if line.startswith("[3/"):
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "the same command continues" in rest


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("datasets.toy-blobs.rows=0", "a split is empty"),
        ("datasets.toy-blobs.overlap=true", "the train and test rows overlap"),
        ("datasets.toy-blobs.bad_label=true", "a label is out of range"),
        ("attacks.toy-patch.target=5", "not a class of this task"),
        ("attacks.toy-patch.target=rihgt", "write 'right'"),
        ("attacks.toy-patch.poison_rate=0.8", "the poison rate cannot be met"),
        ("training.learning_rate=1e30", "not finite"),
        ("defender.clean_rows=41", "there are not enough clean rows"),
    ],
)
def test_bad_input_is_told_in_a_paragraph(bdbench_here, tmp_path, setting, said):
    options = ("--attack", "toy-patch", "--defense", "toy-tune", "--seeds", "0")
    home = ("--home", tmp_path, "--executor", "inline", "--display", "none")
    code, _, stderr = bdbench_here("run", SUITE, *home, "--set", setting, *options)
    assert code == 4, stderr
    assert said in stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.glob("store/tmp/*")) == []


def test_an_error_says_where_it_is_and_is_said_once(bdbench_here, tmp_path):
    options = ("--attack", "toy-patch", "--defense", "none", "--seeds", "0,1")
    home = ("--home", tmp_path, "--executor", "inline", "--display", "none")
    setting = ("--set", "attacks.toy-patch.poison_rate=0.8")
    code, _, stderr = bdbench_here("run", SUITE, *home, *setting, *options)
    assert code == 4
    (line,) = (line for line in stderr.splitlines() if line.startswith("error: "))
    assert line.startswith("error: poison (toy-patch, toy-blobs, toy-linear, seed 0) and 1 more: ")
    assert "more: poison_rate: the poison rate cannot be met" in line


def test_filters_keep_what_a_defense_is_judged_by(bdbench_here, tmp_path):
    options = ("--attack", "toy-patch", "--defense", "toy-clip", "--seeds", "0")
    home = ("--home", tmp_path, "--executor", "inline", "--display", "none", "--json")
    code, stdout, _ = bdbench_here("run", SUITE, *home, *options)
    assert code == 0
    rows = {(row["attack"], row["defense"]): row for row in json.loads(stdout)["rows"]}
    assert set(rows) == {("none", "none"), ("toy-patch", "none"), ("toy-patch", "toy-clip")}
    assert all(row["values"]["clean_accuracy"] is not None for row in rows.values())


def test_a_home_that_cannot_be_written_to(bdbench_here, tmp_path):
    (tmp_path / "file").write_text("not a folder", "utf-8")
    code, _, stderr = bdbench_here("run", SUITE, "--home", tmp_path / "file" / "home")
    assert code == 4
    assert "choose another place with --home" in stderr


def test_a_limit_makes_another_result(bdbench_here, tmp_path):
    options = ("--limit", "30", "--defense", "none", "--seeds", "0", "--executor", "inline")
    home = ("--home", tmp_path, "--display", "none", "--json")
    code, stdout, _ = bdbench_here("run", SUITE, *home, *options)
    assert code == 0
    comparison = json.loads(stdout)
    assert any("limited to 30 rows" in note for note in comparison["notes"])
    cell = json.loads(
        next(tmp_path.glob("runs/*/records.jsonl")).read_text("utf-8").splitlines()[0]
    )
    assert cell["notes"]["data"]["rows"] == {"train": 30, "test": 30, "clean": 30}


def test_the_leaderboard_shows_the_newest_run_of_a_suite(bdbench, toy_run):
    home, _ = toy_run
    text = bdbench("leaderboard", "toy", "--home", home, "--csv", check=0).stdout
    lines = text.splitlines()
    assert lines[0].startswith("dataset,model,attack,defense,rank")
    missing = bdbench("leaderboard", "nothing", "--home", home)
    assert missing.returncode == 4
    assert "there is no run of nothing" in missing.stderr


# --- attacks on models --------------------------------------------------------------------------


def mean(row, name):
    return row["values"][name]["mean"]


def test_every_surface_can_be_attacked(bdbench, tmp_path, of):
    text = SUITE.read_text("utf-8").replace("seeds: [0, 1]", "seeds: [0]")
    text = text.replace("  - toy-patch: {poison_rate: 0.2}\n", "")
    names = ("published", "trained", "edited", "learned")
    lines = "".join(f"  - toy-{name}: {{poison_rate: 0.2}}\n" for name in names)
    text = text.replace("attacks:\n", f"attacks:\n{lines}")
    text = text.replace("[toy-rates]", "[toy-rates, toy-shift, toy-variants]")
    suite = tmp_path / "suite.yaml"
    suite.write_text(text, "utf-8")

    home = tmp_path / "home"
    comparison = json.loads(bdbench("run", suite, "--json", "--home", home, check=0).stdout)
    rows = {(row["attack"], row["defense"]): row for row in comparison["rows"]}
    assert {column["name"] for column in comparison["columns"]} >= {"accuracy.0", "accuracy.1"}
    for name in names:
        row = rows[f"toy-{name}", "none"]
        assert row["status"] == {"success": 1}
        # What was planted in the weights that training starts from, honest training removes.
        if name != "published":
            assert mean(row, "asr") > 0.9 > mean(row, "asr_floor") + 0.3
        assert mean(row, "shift") > 0
        assert (row["values"]["weak_asr"] is not None) == (name == "trained")
    # Who filters data trains anew, without the attacker who edited or trained the victim.
    assert mean(rows["toy-edited", "toy-filter"], "asr") < 0.5
    assert mean(rows["toy-trained", "toy-filter"], "asr") < 0.5
    (lines,) = home.glob("runs/*/records.jsonl")
    records = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    record = of(records, "toy-published", "toy-clip")
    assert record["selection"] == "clean_val"
    assert 0 < record["notes"]["triggered"]["share"] < 1
    assert {"pretrained", "victim", "screened_clean"} <= set(record["costs"])
    assert of(records, "toy-edited", "none")["selection"] == "fixed"


# --- where code comes from ----------------------------------------------------------------------


def test_nothing_is_imported_from_the_current_folder(environment, tmp_path):
    for name in ("torch", "numpy", "bdbench"):
        (tmp_path / f"{name}.py").write_text(
            "open('imported', 'w').close()\nraise SystemExit", "utf-8"
        )
    # The installed command, as users start it: `python -m` has the current folder on its path.
    call = [Path(sys.executable).with_name("bdbench"), "run", str(SUITE), "--limit", "20"]
    call += ["--seeds", "0", "--defense", "none", "--attack", "toy-patch", "--display", "none"]

    done = subprocess.run(
        [*call, "--home", str(tmp_path / "home")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()
