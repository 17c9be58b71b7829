"""Fixtures for the tests of plugins; pytest has them wherever bdbench is installed.

``bdbench_host``
    Makes a host that knows the built-in components and the distributions that are named, and
    nothing else, whatever is installed: ``bdbench_host("bdbench-mine")``.
``fake_dist``
    Makes a distribution that real discovery finds: ``fake_dist("bdbench-mine", HOOKS)``; see
    `bdbench.testing.fakes.FakeDistributions`.
``tiny_world``
    Makes a tiny world in a folder of the test's own: ``tiny_world("text-classification")``; see
    `bdbench.testing.worlds`.
``run_cli``
    Runs a command in this process, with a home of the test's own and without MLflow:
    ``run_cli("list", "--json").json()``.

This module imports nothing but pytest, so that it costs nothing where it is not used.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bdbench.host.catalog import Host
    from bdbench.testing.fakes import FakeDistributions
    from bdbench.testing.worlds import World

__all__ = ["CliResult", "bdbench_host", "fake_dist", "run_cli", "tiny_world"]

BUILT_IN = frozenset({"builtin", "executors", "presets", "reporters"})


@dataclass(frozen=True, slots=True)
class CliResult:
    """How a command ended.

    Attributes:
        code: Its exit code.
        out: What it wrote to stdout.
        err: What it wrote to stderr.
    """

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it wrote to stdout, as data."""
        return json.loads(self.out)


@pytest.fixture
def bdbench_host() -> Callable[..., Host]:
    """Makes a host of the built-in components and the named distributions."""
    from bdbench.host.catalog import Host  # noqa: PLC0415 -- see the module
    from bdbench.host.plugins import discover  # noqa: PLC0415

    def make(*distributions: str, disabled: tuple[str, ...] = ()) -> Host:
        found = [
            item
            for item in discover()
            if item[0].distribution in distributions
            or (item[0].distribution == "bdbench" and item[0].entry_point in BUILT_IN)
        ]
        return Host(found, disabled)

    return make


@pytest.fixture
def fake_dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDistributions]:
    """Makes distributions that real discovery finds, for as long as the test runs."""
    from bdbench.testing.fakes import FakeDistributions  # noqa: PLC0415 -- see the module

    fakes = FakeDistributions(tmp_path, monkeypatch.syspath_prepend)
    yield fakes
    fakes.forget()


@pytest.fixture
def tiny_world(tmp_path: Path) -> Callable[..., World]:
    """Makes tiny worlds in folders of the test's own."""
    from bdbench.testing.worlds import tiny_world as make_world  # noqa: PLC0415 -- see the module

    def make(task: str = "text-classification") -> World:
        folder = tmp_path / f"world {len(list(tmp_path.glob('world *')))}"
        folder.mkdir()
        return make_world(task, folder)

    return make


@pytest.fixture
def run_cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CliResult]:
    """Runs ``bdbench`` in this process."""
    monkeypatch.setenv("BDBENCH_HOME", str(tmp_path / "bdbench-home"))
    # Set, so that what --no-plugin adds is taken back afterwards.
    monkeypatch.setenv("BDBENCH_DISABLE_PLUGINS", "mlflow")

    def run(*arguments: object) -> CliResult:
        # As installed: the command stands on a floor above this one.
        (script,) = importlib.metadata.entry_points(group="console_scripts", name="bdbench")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            script.load()([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = ended.value.code
        return CliResult(code if isinstance(code, int) else 0, out, err)

    return run
