"""``bdbench doctor`` counts what is really there."""

import json

import pytest

from bdbench.cli.main import run


def spool_check(home, capsys):
    with pytest.raises(SystemExit):
        run(["doctor", "--home", str(home), "--json"])
    checks = json.loads(capsys.readouterr().out)
    return next(check for check in checks if check["name"] == "mlflow spool")


HOOKS = """
from bdbench.api import DefenseSpec, DefenseStage, hookimpl

@hookimpl
def bdbench_register_defenses():
    return [DefenseSpec(name={name!r}, target="nowhere:Thing", summary="A fake.", api={api!r},
                        stages=frozenset({{DefenseStage.SCREEN}}))]
"""


def test_each_plugin_that_is_not_ok_is_told_with_the_way_to_mend_it(
    bdbench, fake_dist, tmp_path, monkeypatch
):
    fails = "raise ValueError('never')"
    fake_dist("bdbench-a", fails)
    fake_dist("bdbench-core", fails)
    fake_dist("bdbench-listed", fails)
    sources = fake_dist("bdbench-sources", fails)
    origin = sources.parent / "bdbench_sources-1.0.dist-info" / "direct_url.json"
    origin.write_text('{"url": "file:///x/y", "dir_info": {"editable": true}}', "utf-8")
    fake_dist("bdbench-new", HOOKS.format(name="new", api="9.0"))
    fake_dist("bdbench-one", HOOKS.format(name="same", api="1.0"))
    fake_dist("bdbench-two", HOOKS.format(name="same", api="1.0"))
    entry = {
        "distribution": "bdbench-listed",
        "name": "listed",
        "tier": "community",
        "summary": "A fake.",
        "provides": [],
        "license": "MIT",
        "api": ">=1.0",
        "pin": {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]},
    }
    core = {**entry, "distribution": "bdbench-core", "name": "core", "tier": "core"}
    core["pin"] = {"version": "1.0", "files": ["b" * 64]}
    registry = tmp_path / "registry.yaml"
    registry.write_text(json.dumps({"plugins": [entry, core]}), "utf-8")
    monkeypatch.setenv("BDBENCH_REGISTRY", str(registry))

    done = bdbench("doctor", "--json")

    told = {
        check["name"].removeprefix("plugin bdbench-"): check["next"].partition(", or ")[0]
        for check in json.loads(done.out)
        if check["name"].startswith("plugin bdbench-") and check["state"] == "failed"
    }
    again = "install it again (`bdbench plugins install {}`)"
    assert told == {
        "a": again.format("bdbench-a==1.0 --unlisted"),
        "core": again.format("-e FOLDER|WHEEL"),
        "listed": again.format("listed"),
        "sources": again.format("-e /x/y"),
        "new": "install a version of it for API 1.0",
        "one": "write one of the full names",
        "two": "write one of the full names",
    }
    assert done.code == 4


def test_records_that_wait_are_counted_not_the_folders_of_their_destinations(tmp_path, capsys):
    pending = tmp_path / "spool" / "pending" / "home"
    pending.mkdir(parents=True)
    assert spool_check(tmp_path, capsys)["state"] == "ok"
    (pending / "item.json").write_text("{}", "utf-8")
    check = spool_check(tmp_path, capsys)
    assert check["state"] == "warning"
    assert check["found"].startswith("1 records")
