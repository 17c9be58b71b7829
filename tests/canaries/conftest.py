"""A small world full of secrets, and runs in it of a suite whose every component is a canary."""

import contextlib
import json
import os
import re
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SITE = Path(__file__).parent / "site"
sys.path.insert(0, str(SITE))
from bdbench_canary import files, keys, rows, tokens, traces  # noqa: E402
from bdbench_canary.names import PROBES  # noqa: E402
from bdbench_canary.probes import Scene, make_probe  # noqa: E402

# What stays on the path is a plugin for all other tests.
sys.path.remove(str(SITE))

TARGET = tokens.TARGET_CLASS


class World:
    """Secrets, and where they lie.

    Attributes:
        folder: The folder that a run is started in; the suite and the home are there.
        secrets: The tokens that belong to the suite, by kind.
    """

    def __init__(self, folder, candidate):
        self.folder = folder
        self.home = folder / "home"
        self.secrets = {name: tokens.fresh(name) for name in ("suite", "name", "def")}
        self.secrets |= {name: tokens.fixed(name, candidate) for name in ("trig", "conf")}
        text = keys.suite_text(
            candidate,
            suite=self.secrets["suite"],
            attack=self.secrets["name"],
            defense=self.secrets["def"],
        )
        (folder / "suite.yaml").write_text(text, "utf-8")
        self._leave_data()
        self._leave_results()

    def _leave_data(self):
        test = rows.make_rows("test", 7)
        lines = [f"{text},{label}" for text, label in zip(*_columns(test), strict=True)]
        (self.folder / "test.csv").write_text("\n".join(lines), "utf-8")

    def _leave_results(self):
        """What earlier runs have left in the home."""
        record = {"asr": 0.5, "notes": {"said": tokens.fresh("past")}}
        for name in ("runs/earlier/records.jsonl", "spool/pending/home/1-2-3.json"):
            path = self.home / name
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(record), "utf-8")
        (self.home / "mlflow").mkdir()
        with contextlib.closing(sqlite3.connect(self.home / "mlflow" / "mlflow.db")) as database:
            database.execute("create table params (key text, value text)")
            database.execute("insert into params values ('trigger', ?)", [tokens.fresh("past")])
            database.commit()


def _columns(examples):
    return examples.inputs["text"], examples.labels


# --- servers --------------------------------------------------------------------------------------


class _Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        token = tokens.fresh("net").encode()
        if isinstance(self.request, tuple):  # UDP
            self.request[1].sendto(token, self.client_address)
        else:
            self.request.sendall(token)


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def servers(folder):
    """Servers that tell a secret to whoever comes; gives the address of the one on TCP."""
    found = [
        socketserver.TCPServer(("127.0.0.1", 0), _Greeter),
        socketserver.UDPServer(("127.0.0.1", 0), _Greeter),
        _UnixServer(str(folder / "greeter"), _Greeter),
        _UnixServer(f"\0greeter-{os.getpid()}", _Greeter),
    ]
    # As multiprocessing's fork server listens: no name of its own is needed to find it.
    forks = socket.socket(socket.AF_UNIX)
    forks.bind(str(folder / "listener-0"))
    forks.listen()
    for server in found:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{found[0].server_address[1]}"
    finally:
        forks.close()
        for server in found:
            server.shutdown()
            server.server_close()


# --- runs -----------------------------------------------------------------------------------------


@dataclass
class Found:
    """What a run's canaries found.

    Attributes:
        isolation: What the records say.
        secrets: By canary and probe.
        failed: By probe: how it failed, where it did.
        unfinished: Probes whose time was too short.
        survivors: Processes that outlived the run.
        smuggled: Files that are in a treated model and should not be.
        marked: Files in the store whose time of change a canary has set.
    """

    isolation: set[str] = field(default_factory=set)
    secrets: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    failed: dict[str, set[str]] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    survivors: list[int] = field(default_factory=list)
    smuggled: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def run_canaries(tmp_path_factory):
    """Runs the suite in a world of its own, and gives what was found there."""

    def run_canaries(*options):
        # A unix socket's name must be short.
        world = World(tmp_path_factory.mktemp("w"), int.from_bytes(os.urandom(1)) % 8)
        read, write = os.pipe()
        os.write(write, tokens.fresh("fd").encode())
        try:
            with servers(world.folder) as address:
                ended = _run(world, address, read, options)
            return _found(world, ended)
        finally:
            os.close(read)
            os.close(write)
            traces.clean_up()

    return run_canaries


@pytest.fixture
def probe_here():
    """Makes one probe in this process, of a folder that holds a model."""
    return lambda name, folder: make_probe(name, Scene([], [folder])).found


def _run(world, address, descriptor, options):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH")])),
        "BDBENCH_DISABLE_PLUGINS": "mlflow",
        "BDBENCH_HOME": str(world.home),
        "MLFLOW_TRACKING_URI": address,
        "HF_TOKEN": tokens.fresh("env"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "bdbench", "run", "suite.yaml", "--display", "none"]
    # The cells of the control show nothing that these do not.
    command += ["--attack", world.secrets["name"]]
    return subprocess.run(
        [*command, *options],
        cwd=world.folder,
        env=environment,
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _found(world, ended):
    found = Found(survivors=_end_survivors())
    folders = [path.parent for path in world.home.glob("runs/*/run.json")]
    assert folders, ended.stderr
    lines = (folders[0] / "records.jsonl").read_text("utf-8").splitlines()
    judge = Judge(world)
    for record in map(json.loads, lines):
        if record["status"] == "success":
            found.isolation.add(record["isolation"])
        for report in _reports(record["notes"]):
            who = report["canary"]
            of_canary = found.secrets.setdefault(who, {name: set() for name in PROBES})
            for name in PROBES:
                items = [*report["found"].get(name, []), *report["late"].get(name, [])]
                of_canary[name] |= judge.secrets(report, [item[::-1] for item in items])
            found.unfinished.update(report["unfinished"])
            for name, why in report["failed"].items():
                found.failed.setdefault(name, set()).add(why)
        values = {name: record["metrics"].get(f"found_{name}") for name in PROBES}
        if values["frames"] is not None:
            found.secrets["metric"] = {
                name: {f"{value:g} secrets"} if value else set() for name, value in values.items()
            }
    for path in world.home.glob("store/objects/*/*/files/*"):
        if path.suffix == ".txt":
            found.smuggled.append(path.name)
        elif traces.is_mark(path.stat().st_mtime_ns):
            found.marked.append(path.name)
    return found


def _reports(notes):
    if not isinstance(notes, dict):
        return
    if "canary" in notes:
        yield notes
        return
    for value in notes.values():
        yield from _reports(value)


def _end_survivors():
    """Ends the processes that canaries left behind; they alone bear that name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text("utf-8").strip() == traces.NAME:
                found.append(int(path.parent.name))
    for number in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    return found


class Judge:
    """Tells secrets from what a canary may know, with a look into the store."""

    def __init__(self, world):
        objects = world.home / "store" / "objects"
        self.keys = [path.parent.name for path in objects.glob("*/*/manifest.json")]
        # What several objects share, tells nothing of one.
        self.mtimes = _times(objects, lambda path: path.stat().st_mtime_ns)
        self.births = _times(objects, files.birth_of)
        self.trigger = world.secrets["trig"]
        masks = [pq.read_table(path) for path in objects.glob("*/*/files/mask.parquet")]
        self.masks = {_bits(table.column("poisoned").to_pylist()) for table in masks}
        test = rows.make_rows("test", 7)
        self.labels = dict(zip(test.inputs["text"], test.labels, strict=True))
        self.label_of = {tokens.TOKEN.search(text)[0]: y for text, y in self.labels.items()}

    def secrets(self, report, items):
        """Those of the items that the canary may not know."""
        known = set(map(tokens.whole_part, (*report["given"], *report["own"])))
        return {item for item in items if self._is_secret(item, report, known)}

    def _is_secret(self, item, report, known):
        who = report["canary"]
        attacks, own = who == "attack", _OWN.get(who, set())

        def hidden(token):
            return tokens.whole_part(token) not in known and tokens.kind(token) not in own

        if tokens.kind(item):
            return hidden(item)
        name, _, value = re.sub("[:=]", "\n", item, count=1).partition("\n")
        rules = {
            "target": lambda: not attacks and value in {str(TARGET), tokens.CLASSES[TARGET]},
            "mask": lambda: not attacks and value in self.masks,
            "labels": lambda: value in self._label_texts(report["given"]),
            # Screens are given rows, but no labels of theirs.
            "label": lambda: "screen" in who or hidden(value.partition("=")[0]),
            "hex": lambda: any(key.startswith(value) for key in self.keys),
            "mtime": lambda: int(value) in self.mtimes,
            "birth": lambda: int(value) in self.births,
            "candidate": lambda: value == self.trigger,
        }
        return rules.get(name, lambda: True)()

    def _label_texts(self, given):
        """The labels of the test rows: all, those that can show success, those given."""
        every = list(self.label_of.values())
        shown = [self.label_of[token] for token in given if token in self.label_of]
        return {_bits(every), _bits(y for y in every if y != TARGET), _bits(shown)} - {""}


def _times(objects, time_of):
    """The times that one object in the store has, and no other."""
    keys = {}
    for path in objects.glob("*/*/files/*"):
        keys.setdefault(time_of(path), set()).add(path.parent.parent.name)
    return {time for time, found in keys.items() if len(found) == 1}


_OWN = {"attack": {"trig", "conf", "name", "train"}, "screen": {"def"}}
"""What a canary knows of the suite: its own settings and name."""


def _bits(values):
    return ",".join(str(int(value)) for value in values)
