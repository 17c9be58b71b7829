"""Guessing the attack: keys are digests of what many know, so all candidates can be tried."""

import json
import os
import select
import signal
import string
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from bdbench_canary.memory import all_locals
from bdbench_canary.tokens import CANDIDATES, CLASSES, HEX, TARGET_CLASS, Harvest, fixed


def suite_text(candidate, **names):
    """The suite with one of the triggers that it may have; names have no part in keys."""
    text = files("bdbench_canary").joinpath("suite.yaml").read_text("utf-8")
    names = dict.fromkeys(("suite", "attack", "defense"), "guessed") | names
    return string.Template(text).substitute(
        word=fixed("trig", candidate),
        conf=fixed("conf", candidate),
        target=CLASSES[TARGET_CLASS],
        **names,
    )


def keys(scene, seconds):
    """Compares what could be keys, in names and paths in view, with those of every candidate."""
    return _harvest(scene, seconds, "visible")


def existence(scene, seconds):
    """Asks for the folder that each candidate's key names: some walls tell that it is there."""
    return _harvest(scene, seconds, "existing")


def _harvest(scene, seconds, how):
    if not scene.guesses:
        scene.guesses = _guess(_seen_names(scene), _shelves(scene), seconds)
    harvest = Harvest(seconds)
    harvest.found.update(f"candidate:{fixed('trig', number)}" for number in scene.guesses[how])
    return harvest


def _seen_names(scene):
    return {name[:16] for text in _visible(scene) for name in HEX.findall(text)}


def _shelves(scene):
    """Where a store's objects may be."""
    places = [*scene.paths, Path.cwd(), Path.home() / ".local/share/bdbench"]
    roots = {parent for path in places for parent in (path, *path.parents)}
    shelves = [root / part / "objects" for root in roots for part in ("", "store")]
    return [shelf for shelf in shelves if _is_there(shelf)]


def _is_there(path):
    try:
        path.stat()
    except OSError:
        return False
    return True


def _visible(scene):
    yield from (f"{path}/" for path in [*scene.paths, Path.cwd(), tempfile.gettempdir()])
    yield from sys.argv
    for number in Path("/proc/self/fd").iterdir():
        try:
            yield f"{number.readlink()}/"
        except OSError:
            continue
    for name in ("mountinfo", "maps", "cmdline", "environ"):
        yield Path(f"/proc/self/{name}").read_bytes().decode("utf-8", "replace")
    yield from _texts(all_locals())


def _texts(values, depth=4):
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Path):
            yield str(value)
        elif isinstance(value, dict) and depth:
            yield from _texts([*value.keys(), *value.values()], depth - 1)
        elif isinstance(value, list | tuple | set) and depth:
            yield from _texts(value, depth - 1)


def _guess(names, shelves, seconds):
    """The candidates of which alone a key is seen, by how it is seen.

    In a child: candidates are secrets themselves, which other probes would find here.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = _seen_candidates(names, shelves, time.monotonic() + seconds)
        except Exception as error:  # noqa: BLE001 -- told to the parent
            answer = {"failed": f"{type(error).__name__}: {error}"}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], 2 * seconds)
        answer = json.loads(os.read(read, 1000)) if ready else {"failed": "no answer"}
    finally:
        os.close(read)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if "failed" in answer:
        raise RuntimeError(answer["failed"])
    return answer


def _seen_candidates(names, shelves, end):
    from bdbench.host.catalog import Host
    from bdbench.suite.load import load_suite
    from bdbench.suite.planning import build_plan
    from bdbench.suite.resolve import resolve

    host = Host()
    owners = {}
    with tempfile.TemporaryDirectory() as folder:
        for candidate in range(CANDIDATES):
            path = Path(folder) / "suite.yaml"
            path.write_text(suite_text(candidate), "utf-8")
            for key in build_plan(resolve(load_suite(str(path), host, ()), host)).stages:
                owners.setdefault(key, []).append(candidate)
            if time.monotonic() > end:
                raise TimeoutError(f"only {candidate + 1} candidates")
    # Keys of clean data and of the control are everybody's.
    telling = {key: found[0] for key, found in owners.items() if len(found) == 1}
    existing = {key for key in telling if any(_is_there(at / key[:2] / key) for at in shelves)}
    return {
        "visible": sorted({found for key, found in telling.items() if key[:16] in names}),
        "existing": sorted({telling[key] for key in existing}),
    }
