from __future__ import annotations

from pathlib import Path

import pytest

from bdbench.api import InputError
from bdbench.home import Home, resolve_home


def test_option_then_variable_then_user_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BDBENCH_HOME", str(tmp_path / "variable"))
    assert resolve_home(tmp_path / "option") == Home(tmp_path / "option")
    assert resolve_home() == Home(tmp_path / "variable")
    monkeypatch.setenv("BDBENCH_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_home().path.name == "bdbench"
    assert tmp_path in resolve_home().path.parents
    assert not resolve_home().path.exists()


def test_relative_and_tilde_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert resolve_home("here").path == Path.cwd() / "here"
    assert resolve_home("~/there").path == tmp_path / "me" / "there"


def test_places_lie_within(tmp_path):
    home = resolve_home(tmp_path)
    places = [home.store, home.runs, home.spool, home.mlflow]
    assert [place.name for place in places] == ["store", "runs", "spool", "mlflow"]
    assert {place.parent for place in places} == {tmp_path}


def test_a_file_is_no_home(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not a folder"):
        resolve_home(tmp_path / "file")
