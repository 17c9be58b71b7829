"""``bdbench clean``: what no run would use again goes, results stay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[1] / "toy" / "suite.yaml"
FEW = ["--seeds", "0", "--attack", "toy-patch", "--defense", "none", "--defense", "toy-clip"]


@pytest.fixture(scope="module")
def ran(bdbench, tmp_path_factory):
    """The home of two runs of one suite: of one seed, and then of another."""
    home = tmp_path_factory.mktemp("home")
    for seed in ("0", "1"):
        arguments = ["run", SUITE, "--home", home, "--display", "none", *FEW, "--seeds", seed]
        bdbench(*arguments, check=0)
    return home


@pytest.fixture
def home(ran, tmp_path):
    return Path(shutil.copytree(ran, tmp_path / "home"))


@pytest.fixture
def clean(bdbench_here, home):
    def clean(*arguments):
        code, out, err = bdbench_here("clean", "--home", home, "--json", *arguments)
        assert code == 0, err
        return json.loads(out)

    return clean


def stored(home):
    return {path.parent.name for path in home.glob("store/objects/*/*/manifest.json")}


def test_what_runs_would_use_stays(clean, home):
    before = stored(home)
    found = clean("--days", "0", "--apply")
    assert (found["bytes"], found["found"], found["kept"]) == (0, {}, len(before))
    assert stored(home) == before


def test_only_the_newest_runs_keep_what_they_use(clean, home, bdbench_here):
    before = stored(home)
    told = clean("--days", "0", "--keep", "1")
    assert stored(home) == before
    done = clean("--days", "0", "--keep", "1", "--apply")
    assert done == told | {"removed": True}
    assert 0 < len(stored(home)) == done["kept"] < len(before)
    removed = sum(item["count"] for item in done["found"].values())
    assert removed + done["kept"] == len(before)
    assert done["found"]["victim"]["bytes"] > 0
    # The newer run is whole: nothing of it is computed again.
    arguments = ["run", SUITE, "--home", home, "--display", "plain", *FEW, "--seeds", "1"]
    code, _, err = bdbench_here(*arguments)
    assert code == 0
    assert "0 stages to run" in err
    # Of the older one the results are all there.
    assert len(list(home.glob("runs/*/records.jsonl"))) >= 2


def test_what_is_young_stays(clean, home):
    before = stored(home)
    assert clean("--keep", "0", "--apply")["bytes"] == 0
    assert stored(home) == before


def test_what_was_set_aside_goes(clean, home):
    aside = home / "store" / "quarantine" / "a.1"
    aside.mkdir(parents=True)
    (aside / "manifest.json").write_text("damaged", "utf-8")
    found = clean("--apply")["found"]
    assert found == {"set aside as damaged": {"count": 1, "bytes": 7}}
    assert not aside.exists()


def test_of_a_run_that_cannot_be_planned_stays_what_its_records_name(bdbench_here, home):
    named = set()
    for path in home.glob("runs/*"):
        run = json.loads((path / "run.json").read_text("utf-8"))
        run["document"]["attacks"].append({"gone/away": {}})
        (path / "run.json").write_text(json.dumps(run), "utf-8")
        for line in (path / "records.jsonl").read_text("utf-8").splitlines():
            named |= set(json.loads(line)["stages"].values())
    code, out, err = bdbench_here("clean", "--home", home, "--days", "0", "--apply")
    assert code == 0
    assert "cannot be planned" in err
    assert "could be removed" not in out
    assert named <= stored(home)


def test_an_empty_home(bdbench_here, tmp_path):
    code, out, _ = bdbench_here("clean", "--home", tmp_path / "nothing")
    assert code == 0
    assert "0.0 MB  could be removed; 0 stages stay" in out
    assert not (tmp_path / "nothing").exists()
