"""Real installations with pip and with uv, into an environment of their own, from a local folder.

The environment sees this one's packages, so that bdbench runs in it; what is installed lies in it
alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from bdbench.host.wheels import read_wheel

NAME = "bdbench-defense-fake"

CALL = """
import json, sys
from pathlib import Path
from bdbench.api import BdbenchError
from bdbench.host.install import install, uninstall
from bdbench.host.registry import load_registry
from bdbench.host.requests import Request

asked = json.loads(sys.argv[1])
registry = load_registry(Path(asked.pop("registry")))
try:
    if "remove" in asked:
        print(json.dumps(uninstall(asked["remove"], registry, lambda *_: True, asked["installer"])))
    else:
        asked["find_links"] = tuple(asked["find_links"])
        if asked.pop("between", False):
            import subprocess
            from bdbench.host import installers
            real = installers._run
            def run(*arguments):
                done = real(*arguments)
                subprocess.run([sys.executable, "-c", ""], check=True)
                return done
            installers._run = run
        done = install(Request(**asked), registry, lambda plan: True)
        print(json.dumps({"files": done.integrity, "version": done.version}))
except BdbenchError as error:
    print(json.dumps(error.to_dict()))
print(json.dumps(sorted(name for name in sys.modules if name.startswith("bdbench_defense_fake"))))
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """An environment with pip."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    site = Path(done.stdout.strip())
    ours = sysconfig.get_path("purelib")
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n", "utf-8")
    return python, site


@pytest.fixture(params=["pip", "uv"])
def installer(request):
    beside = str(Path(sys.executable).parent)
    if request.param == "uv" and not (shutil.which("uv") or shutil.which("uv", path=beside)):
        pytest.skip("uv is not here")
    return request.param


@pytest.fixture
def call(environment, installer, tmp_path):
    """Installs or removes in the environment; gives the result, and what was imported."""
    python, site = environment
    wheels = tmp_path / "wheels"
    wheels.mkdir(exist_ok=True)

    def call(**asked):
        asked = {"registry": str(tmp_path / "registry.yaml"), "installer": installer, **asked}
        if "remove" not in asked:
            asked = {"find_links": [str(wheels)], "no_index": True, **asked}
        path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
        done = subprocess.run(
            [python, "-c", CALL, json.dumps(asked)],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result, imported = map(json.loads, done.stdout.splitlines())
        assert imported == []
        return result

    yield call
    for path in site.glob("bdbench_defense_fake*"):
        shutil.rmtree(path)


@pytest.fixture
def pin(tmp_path):
    """Writes a registry that pins a wheel."""

    def pin(wheel=None, **changes):
        found = read_wheel(wheel) if wheel else None
        pinned = {"version": "1.0", "sha256": ["a" * 64], "files": ["b" * 64]}
        if found:
            pinned |= {"sha256": [found.sha256], "files": [found.files]}
        entry = {
            "name": "defense-fake",
            "distribution": NAME,
            "tier": "community",
            "summary": "A fake.",
            "provides": ["defense:fake"],
            "license": "MIT",
            "api": ">=1.0,<2",
            "pin": pinned | changes,
        }
        text = yaml.safe_dump({"plugins": [entry]})
        (tmp_path / "registry.yaml").write_text(text, "utf-8")

    return pin
