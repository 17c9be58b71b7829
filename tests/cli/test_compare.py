"""``bdbench compare``: what A and B may be, and what is said of them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bdbench.home import Home
from bdbench.results.records import CellRecord, ComponentRecord
from bdbench.store.objects import Store

OLD = "20260101-000000-toy-aaaa"
NEW = "20260102-000000-toy-bbbb"
OTHER = "20260103-000000-other-cccc"


def component(label, version="1"):
    return ComponentRecord(
        label=label, component=f"d/{label}", version=version, revision=1, code="0", config={}
    )


@pytest.fixture
def stored_run(finished_run, home, make_row):
    """Writes a run of two defenses, with the values of its test rows in the store."""

    def stored_run(run_id=OLD, suite="toy", finished=0.0, rates=(0.1, 0.7), version="1", **row):
        store = Store(Home(home).store)
        ease = np.random.default_rng(7).random(200)
        records = []
        for defense, rate in zip(("merge", "tune"), rates, strict=True):
            for seed in range(3):
                asr = (ease < rate + 0.01 * seed).astype(float)
                accuracy = np.ones(200)
                key = f"{len(list(Store(Home(home).store).keys())):064x}"

                def make(folder, asr=asr, accuracy=accuracy):
                    table = {"id": np.arange(200), "asr": asr, "clean_accuracy": accuracy}
                    pq.write_table(pa.table(table), folder / "rows.parquet")
                    return {}

                store.ensure("scores", key, make)
                records.append(
                    CellRecord(
                        cell_id=key,
                        suite=suite,
                        seed=seed,
                        dataset=component("blobs"),
                        model=component("linear"),
                        attack=component("patch"),
                        defense=[component(defense, version)],
                        defense_label=defense,
                        status="success",
                        metrics={"asr": float(asr.mean()), "clean_accuracy": 1.0},
                        stages={"scores": key, "data": "data"},
                    )
                )
        rows = [make_row("patch", defense, 0.5, 1.0, **row) for defense in ("merge", "tune")]
        finished_run(run_id, suite, finished, rows=rows, records=records)

    return stored_run


def test_two_defenses_of_the_newest_run(bdbench, stored_run):
    stored_run()
    done = bdbench("compare", "merge", "tune")

    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"tune against merge, run {OLD}"
    (line,) = (line for line in lines if "<" in line and line.startswith("patch"))
    assert line.split()[-1] == "merge"
    assert "< .001*" in line
    assert "p: paired by seed and test row, Holm-corrected" in lines[-1]


def test_an_attack_that_does_not_count_is_marked_with_its_reason(bdbench, stored_run):
    reason = "the attack harms the victim: 0.5 is more than 0.05 under the control's 0.9"
    stored_run(gate={"passed": False, "reason": reason})
    lines = bdbench("compare", "merge", "tune").out.splitlines()

    assert sum(line.startswith("patch † ") for line in lines) == 2
    assert lines[-1] == f"† patch is not ranked: {reason}."
    assert "did not take" not in " ".join(lines)


def test_which_run_can_be_said(bdbench, stored_run):
    stored_run(OLD, finished=1.0, rates=(0.1, 0.7))
    stored_run(NEW, finished=2.0, rates=(0.7, 0.1))

    def better(*arguments):
        data = json.loads(bdbench("compare", "merge", "tune", "--json", *arguments).out)
        assert data["schema"] == "bdbench.contrast/1"
        return data["entries"][0]["values"]["attack"]["better"]

    assert better() == "b"
    assert better("--run", OLD) == "a"


def test_two_runs(bdbench, stored_run):
    stored_run(OLD, finished=1.0, rates=(0.1, 0.7))
    stored_run(NEW, finished=2.0, rates=(0.1, 0.2), version="2")
    done = bdbench("compare", OLD, NEW)

    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{NEW} (B) against {OLD} (A)"
    assert "  defense merge: version: 1 -> 2 (3 cells)" in lines
    attack = [line for line in lines if line.startswith("patch · ")]
    assert attack[0].split()[-1] == "-"
    assert attack[1].split()[-1] == "B"


def test_a_suite_stands_for_its_newest_run(bdbench, stored_run):
    stored_run(OLD, finished=1.0)
    stored_run(OTHER, "other", finished=2.0)
    data = json.loads(bdbench("compare", "toy", "other", "--json").out)

    assert (data["kind"], data["a"], data["b"]) == ("runs", OLD, OTHER)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["merge", "mrge"], "two of its defenses: merge, tune; or names of suites or runs"),
        (["merge", "mrge", "--run", "toy"], "Expected two of its defenses: merge, tune."),
        (["toy", OLD], "A and B are the same run"),
        (["merge", "merge"], "A and B are the same"),
        (["merge", "tune", "--run", "tyo"], "Found runs of toy"),
    ],
)
def test_what_cannot_be_compared_is_told(bdbench, stored_run, arguments, text):
    stored_run()
    done = bdbench("compare", *arguments)

    assert (done.code, done.out) == (4, "")
    assert text in done.err


def test_damaged_scores_are_told(bdbench, stored_run, home):
    stored_run()
    path = next(Store(Home(home).store).root.glob("objects/*/*/files/rows.parquet"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = bdbench("compare", "merge", "tune")

    assert done.code == 0
    assert "1 cells are damaged" in done.err


def test_hostile_names_do_not_act_on_the_terminal(bdbench, finished_run, make_row):
    hostile = "\x1b]0;title\x07\u202e"
    finished_run(rows=[make_row("patch", hostile, 0.5), make_row("patch", "merge", 0.5)])
    done = bdbench("compare", hostile, "merge")

    assert done.code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out + done.err)
