"""An environment of its own for packages that tests write, with everything installed behind it."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

SHIM = "#!{python}\nimport runpy\nrunpy.run_module({module!r}, run_name='__main__')\n"


class Workbench:
    """Runs commands where `pip install -e .` works without a network and touches nothing else.

    Attributes:
        bin: The folder with its commands.
    """

    def __init__(self, folder, home):
        venv.create(folder, with_pip=True, symlinks=True)
        self.bin = folder / "bin"
        # What this environment has, editable installs among it, stands behind the new one.
        behind = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "behind.pth").write_text(behind, "utf-8")
        for module in ("bdbench", "pytest", "mypy"):
            shim = self.bin / module
            shim.write_text(SHIM.format(python=self.bin / "python", module=module), "utf-8")
            shim.chmod(0o755)
        # No shim: `python -m ruff` looks for a program of that name, and would find itself.
        (self.bin / "ruff").symlink_to(Path(sysconfig.get_path("scripts"), "ruff"))
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "BDBENCH_HOME": str(home),
            "BDBENCH_DISABLE_PLUGINS": "mlflow",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # read as "no": what builds is in this environment
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, command, folder, **environment):
        """Runs a line of shell in a folder; what it prints, or an AssertionError with it."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def workbench(tmp_path_factory):
    """The environment; made once, in about five seconds."""
    return Workbench(tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("home"))
