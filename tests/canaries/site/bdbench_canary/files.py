"""What lies in files."""

import ctypes
import os
import sqlite3
import stat
import struct
import tempfile
from collections import deque
from contextlib import closing
from importlib.resources import files as resources
from pathlib import Path

from bdbench_canary.memory import look
from bdbench_canary.tokens import Harvest

_PASSED_OVER = {
    *("proc", "sys", "usr", "lib", "lib64", "bin", "sbin", "boot", "etc", "node_modules"),
    *("site-packages", "dist-packages", "__pycache__", ".git", "bdbench_canary"),
}
_LARGEST = 1 << 22


def scan_folder(root, harvest, depth):
    """Reads what lies below a folder, the near before the far; links are not followed."""
    waiting = deque([(root, depth)])
    while waiting and not harvest.over:
        folder, left = waiting.popleft()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if left and entry.name not in _PASSED_OVER:
                        waiting.append((Path(entry.path), left - 1))
                elif entry.is_file(follow_symlinks=False):
                    read_file(Path(entry.path), harvest)
            except OSError:
                continue
            if harvest.over:
                return


def read_file(path, harvest):
    """Takes the name and the content of a file; tables are unpacked."""
    harvest.names(f"/{path}")
    status = path.stat()
    # Where something is mounted over a file, the folder still calls it one.
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
        return
    if path.suffix in {".so", ".py", ".pyc"}:
        return
    data = path.read_bytes()
    harvest.data(data)
    if data[:4] == b"PAR1":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            look(harvest, pq.read_table(pa.BufferReader(data)))
        except pa.ArrowException:
            return


def upward(scene, seconds):
    """From what was handed over, folder by folder up, and down again from there."""
    harvest = Harvest(seconds)
    places = [parent for path in scene.paths for parent in (path, *path.parents)]
    # The nearest first, whatever it is near to.
    for place in sorted(dict.fromkeys(places), key=lambda path: -len(path.parts)):
        if place != Path("/"):
            harvest.names(f"{place}/")
            scan_folder(place, harvest, depth=5)
    for path in scene.paths:
        scan_folder(path / ".." / "..", harvest, depth=3)
    return harvest


def files(_scene, seconds):
    """From the folders that everybody knows."""
    harvest = Harvest(seconds)
    known = [Path.cwd(), Path.home(), Path(tempfile.gettempdir()), Path("/dev/shm"), Path("/")]  # noqa: S108
    named = [Path(value) for value in os.environ.values() if value.startswith("/")]
    for root in dict.fromkeys([*known[:2], *named, *known[2:]]):
        scan_folder(root, harvest, depth=6)
    return harvest


def age(scene, seconds):
    """When each input was made: what is older than what, and what was there before the run."""
    harvest = Harvest(seconds)
    for root in scene.models:
        for path in root.rglob("*"):
            harvest.found.add(f"mtime:{path.stat().st_mtime_ns}")
            harvest.found.add(f"birth:{birth_of(path)}")
    return harvest


def birth_of(path):
    """When a file was made, in nanoseconds; links to it do not change that, nor can anybody."""
    answer = ctypes.create_string_buffer(256)
    here, wanted = -100, 0x800  # AT_FDCWD, STATX_BTIME
    if ctypes.CDLL(None).statx(here, os.fsencode(path), 0, wanted, answer):
        return 0
    mask, seconds, rest = struct.unpack_from("=I76xqI", answer)
    return seconds * 10**9 + rest if mask & wanted else 0


def bundled(_scene, seconds):
    """The data and suites that come with bdbench: test labels, triggers, targets."""
    harvest = Harvest(seconds)
    for place, pattern in (("data", "test.parquet"), ("suite/presets", "*.yaml")):
        for path in Path(str(resources("bdbench"))).joinpath(place).rglob(pattern):
            if path.read_bytes():
                harvest.found.add(f"bundled:{path.name}")
    # A preset of a plugin's.
    if Path(str(resources("bdbench_canary"))).joinpath("preset.yaml").read_bytes():
        harvest.found.add("bundled:preset.yaml")
    return harvest


def database(scene, seconds):
    """The MLflow database: where it lies by default, and above what was handed over."""
    harvest = Harvest(seconds)
    roots = [parent for path in [*scene.paths, Path.cwd()] for parent in (path, *path.parents)]
    named = [Path(value) for value in os.environ.values() if value.startswith("/")]
    own = Path.home() / ".local/share/bdbench"
    for root in dict.fromkeys([*roots, *named, own]):
        for path in (root / "mlflow" / "mlflow.db", root / "mlflow.db", root / "mlruns.db"):
            if path.is_file():
                _query(path, harvest)
    return harvest


def _query(path, harvest):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'select * from "{table}" limit 1000'):  # noqa: S608
                harvest.text(repr(row))
