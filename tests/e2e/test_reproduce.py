"""``bdbench reproduce``: a run once more from its own record, and what differs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

SUITE = Path(__file__).parents[1] / "toy" / "suite.yaml"
FEW = ["--seeds", "0", "--attack", "toy-patch", "--defense", "none", "--defense", "toy-clip"]


@pytest.fixture(scope="module")
def run_once(bdbench, tmp_path_factory):
    """The home of a small run, some cells of a suite whose file is gone."""
    folder = tmp_path_factory.mktemp("suite")
    suite = folder / "suite.yaml"
    shutil.copy(SUITE, suite)
    home = tmp_path_factory.mktemp("home")
    bdbench("run", suite, "--home", home, "--display", "none", *FEW, check=0)
    shutil.rmtree(folder)
    return home


@pytest.fixture
def home(run_once, tmp_path):
    """A copy of that home, to do with as a test likes."""
    return Path(shutil.copytree(run_once, tmp_path / "home", symlinks=True))


@pytest.fixture
def reproduce(bdbench_here, home):
    def reproduce(*arguments):
        return bdbench_here("reproduce", "toy", "--home", home, "--display", "none", *arguments)

    return reproduce


def change_records(home, change):
    (path,) = home.glob("runs/*/records.jsonl")
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for record in records:
        change(record)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")


def contents(home):
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def test_a_run_computed_anew_has_every_value_again(reproduce, home):
    before = contents(home)
    code, out, err = reproduce("--json")
    data = json.loads(out)

    assert code == 0, err
    assert (data["fresh"], data["cells"], data["same_identity"]) == (True, 3, 3)
    assert data["compared"] > 0
    # Everything, however much of it was stored.
    assert data["computed"] == len(list(home.glob("store/objects/*/*")))
    assert data["changes"] == data["values"] == data["statuses"] == []
    # Nothing is added to the home, and nothing of the new one is left.
    assert contents(home) == before


def test_what_a_dead_reproduction_left_is_removed(reproduce, home):
    dead, living = (home / "store" / "tmp" / f"reproduce-{name}" for name in ("dead", "living"))
    for folder in (dead, living):
        folder.mkdir()
        (folder / "store").symlink_to(home / "store")
    with FileLock(living.with_name(f"{living.name}.lock")):
        code, _, _ = reproduce("--cached")

    assert code == 0
    assert not dead.exists()
    assert living.is_dir()
    assert list(home.glob("store/objects/*/*"))


def test_a_value_that_differs_in_the_last_digit_is_told(reproduce, home):
    def tamper(record):
        if record["defense_label"] == "toy-clip":
            record["metrics"]["asr"] += 1e-15

    change_records(home, tamper)
    code, out, _ = reproduce("--cached")

    assert code == 1
    assert "toy-patch · toy-clip · seed 0: asr was" in out
    assert "not reproduced: 1 of " in out


def test_what_the_cells_were_made_with_is_compared(reproduce, home):
    def tamper(record):
        record["attack"]["version"] = "0.0"
        record["environment"]["torch"] = "1.0"

    change_records(home, tamper)
    code, out, _ = reproduce("--cached")

    assert code == 0
    assert ", 0 stages computed" in out
    assert "attack toy-patch: version: 0.0 -> 0.1 (2 cells)" in out
    assert "environment: torch: 1.0 -> " in out
    assert out.endswith("reproduced: every value is equal\n")


def test_a_cell_that_ends_otherwise_is_told(reproduce, home):
    def tamper(record):
        if record["defense_label"] == "toy-clip":
            record.update(status="failed", reason="out of memory", metrics={})

    change_records(home, tamper)
    code, out, _ = reproduce("--cached")

    assert code == 1
    assert "toy-clip · seed 0: was failed, is success" in out


def test_the_new_home_can_be_kept(reproduce, home, tmp_path):
    code, _, _ = reproduce("--cached", "--keep", tmp_path / "kept")

    assert code == 0
    assert len(list((tmp_path / "kept" / "runs").iterdir())) == 1
    # With --cached the store is the old one, and stays.
    assert (home / "store" / "objects").is_dir()
    assert reproduce("--keep", tmp_path / "kept")[0] == 4


def test_a_run_without_results_cannot_be_reproduced(reproduce, home):
    change_records(home, lambda record: record.update(status="failed"))
    code, out, err = reproduce()

    assert (code, out) == (4, "")
    assert "no cell of this run has a result" in err


def test_a_component_that_is_gone_is_told(reproduce, home):
    (path,) = home.glob("runs/*/run.json")
    path.write_text(path.read_text("utf-8").replace("bdbench-toy/toy-patch", "bdbench-toy/gone"))
    code, out, err = reproduce()

    assert (code, out) == (4, "")
    assert "no installed plugin brings an attack named 'bdbench-toy/gone'" in err


def test_an_unknown_run_is_told(bdbench_here, home):
    code, _, err = bdbench_here("reproduce", "tyo", "--home", home)

    assert code == 4
    assert "Found runs of toy" in err


def test_a_new_home_that_cannot_be_made_is_told(reproduce, home, tmp_path):
    (tmp_path / "file").touch()
    code, out, err = reproduce("--keep", tmp_path / "file" / "new")
    assert (code, out) == (4, "")
    assert "the folder for the new home cannot be made" in err

    shutil.rmtree(home / "store" / "tmp")
    (home / "store" / "tmp").touch()
    code, _, err = reproduce()
    assert code == 4
    assert "Found File exists" in err
