"""``bdbench doctor`` counts what is really there."""

import json

import pytest

from bdbench.cli.main import run


def spool_check(home, capsys):
    with pytest.raises(SystemExit):
        run(["doctor", "--home", str(home), "--json"])
    checks = json.loads(capsys.readouterr().out)
    return next(check for check in checks if check["name"] == "mlflow spool")


def test_records_that_wait_are_counted_not_the_folders_of_their_destinations(tmp_path, capsys):
    pending = tmp_path / "spool" / "pending" / "home"
    pending.mkdir(parents=True)
    assert spool_check(tmp_path, capsys)["state"] == "ok"
    (pending / "item.json").write_text("{}", "utf-8")
    check = spool_check(tmp_path, capsys)
    assert check["state"] == "warning"
    assert check["found"].startswith("1 records")
