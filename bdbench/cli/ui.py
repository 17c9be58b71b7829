"""`bdbench ui`: the results in MLflow's pages."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType

import click

from bdbench.api.errors import InputError
from bdbench.cli.options import common, home_option, say
from bdbench.home import Home, resolve_home
from bdbench.tracking.destination import Destination, own_database, resolve_destination
from bdbench.tracking.server import HOST, choose_port, links, serve
from bdbench.tracking.spool import Spool

__all__ = ["ui"]

PORT = 5000


@click.command("ui")
@home_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port to listen on.  [default: {PORT}, or a free one if it is taken]",
)
@click.option("--no-drain", is_flag=True, help="Show only what is in MLflow already.")
@common
def ui(home: str | None, port: int | None, *, no_drain: bool) -> None:
    """Open the MLflow UI over all runs, on this machine only; Ctrl-C ends it."""
    place = resolve_home(home)
    destination = resolve_destination(place)
    chosen = choose_port(port or PORT, must=port is not None)
    with contextlib.suppress(KeyboardInterrupt), _signals_interrupt():
        if not no_drain:
            _drain(place, destination)
        if not own_database(place).exists():
            raise _nothing_to_show(place, destination)
        with serve(place, chosen) as server:
            say(f"MLflow: http://{HOST}:{chosen}/")
            for name, address in links(chosen):
                say(f"  {name}: {address}")
            say("Ctrl-C ends it.")
            code = server.wait()
        raise InputError(
            "the MLflow server ended by itself",
            where=str(place.mlflow / "server.log"),
            found=f"exit code {code}",
            next="read that file",
        )


def _drain(home: Home, destination: Destination) -> None:
    """Publishes what still waits, in a process of its own."""
    spool = Spool(home, destination)
    waiting = len(spool.pending())
    if not waiting:
        return
    say(f"Publishing {waiting} results that still waited ...")
    command = [sys.executable, "-P", "-m", "bdbench.tracking.publisher", str(home.path)]
    log = home.spool / "publisher.log"
    with log.open("ab") as output:
        subprocess.run(  # noqa: S603 -- our own module
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    left = len(spool.pending())
    if left:
        say(f"{left} of them still wait for {destination.shown}; what happened is in {log}.")


def _nothing_to_show(home: Home, destination: Destination) -> InputError:
    if destination.own:
        return InputError(
            "there are no results to show yet",
            where=str(home.path),
            expected="the records of at least one run",
            next="bdbench run <suite>, with the same --home",
        )
    return InputError(
        "the results of this home are not in its own database",
        where="MLFLOW_TRACKING_URI",
        found=destination.shown,
        next="look there, or unset MLFLOW_TRACKING_URI and run the suite again: what is computed "
        "is only published",
    )


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Lets a closed terminal or a plain kill end the server as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN  # `nohup` keeps its meaning
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
