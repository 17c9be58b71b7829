"""What tests of several floors share."""

from __future__ import annotations

import pytest

from bdbench.host.catalog import Host
from bdbench.host.plugins import discover


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path_factory):
    """No test reads or writes what belongs to whoever runs it."""
    monkeypatch.setenv("BDBENCH_HOME", str(tmp_path_factory.getbasetemp() / "no-home"))
    for name in ("BDBENCH_DISABLE_PLUGINS", "MLFLOW_TRACKING_URI", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def toy_host():
    """The built-in components and the toy plugin, whatever else is installed; no observers."""
    wanted = {"bdbench:builtin", "bdbench:presets", "bdbench-toy:toy"}
    return Host(item for item in discover() if item[0].id in wanted)
