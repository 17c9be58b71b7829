from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest
from click.testing import CliRunner

from bdbench.api import InputError
from bdbench.cli.ui import ui
from bdbench.tracking.server import choose_port


def test_nothing_to_show_is_said_with_the_next_step(tmp_path):
    result = CliRunner().invoke(ui, ["--home", str(tmp_path)])
    assert isinstance(result.exception, InputError)
    assert "no results to show yet" in str(result.exception)
    assert "bdbench run" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_results_elsewhere_are_said_to_be_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@tracking.example")
    result = CliRunner().invoke(ui, ["--home", str(tmp_path)])
    assert "https://tracking.example" in str(result.exception)
    assert "secret" not in str(result.exception)


def test_a_taken_port_is_replaced_unless_it_was_asked_for():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(port, must=False) not in {0, port}
        with pytest.raises(InputError, match=f"--port {port}"):
            choose_port(port, must=True)
    assert choose_port(port, must=True) == port


def test_it_publishes_what_waited_shows_it_and_leaves_nothing_running(home, observer, make_record):
    observer.finished_cell(make_record())
    folder = home.runs / "run-1"
    folder.mkdir(parents=True)
    (folder / "leaderboard.md").write_text("| merge |", "utf-8")
    observer.finished("finished")
    command = [sys.executable, "-c", "from bdbench.cli.ui import ui; ui()"]
    command += ["--home", str(home.path), "--port", str(choose_port(0, must=False))]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, the shell has Ctrl-C ignored for all of them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        lines = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            line = process.stderr.readline()
            assert line, lines
            lines.append(line)
        family = psutil.Process(process.pid).children(recursive=True)
        text = "".join(lines)
        assert "Publishing 2 results" in text
        address = re.search(r"MLflow: (\S+)/\n", text)[1]
        assert address.startswith("http://127.0.0.1:")
        link = re.search(r"leaderboard: \S+/runs/(\w+)/artifacts/leaderboard.md", text)
        assert "viewStateShareKey=bdbench" in text
        url = f"{address}/get-artifact?path=leaderboard.md&run_uuid={link[1]}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 -- our own address
            assert answer.read() == b"| merge |"
        assert len(family) == 2
        environment = family[0].environ()
        assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
        assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    deadline = time.monotonic() + 60
    while any(one.is_running() for one in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [one for one in family if one.is_running()]
