"""`bdbench ui`: the results in MLflow's pages."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from bdbench.api.errors import InputError
from bdbench.home import Home, resolve_home
from bdbench.tracking.destination import Destination, own_database, resolve_destination
from bdbench.tracking.server import HOST, choose_port, links, serve
from bdbench.tracking.spool import Spool

__all__ = ["ui"]

PORT = 5000


@click.command("ui")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Folder that everything lives under.  [default: BDBENCH_HOME, or the user's data folder]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port to listen on.  [default: {PORT}, or a free one if it is taken]",
)
@click.option("--no-drain", is_flag=True, help="Show only what is in MLflow already.")
def ui(home: Path | None, port: int | None, *, no_drain: bool) -> None:
    """Shows all results in MLflow's pages, on this machine only. Ctrl-C ends it."""
    place = resolve_home(home)
    destination = resolve_destination(place)
    chosen = choose_port(port or PORT, must=port is not None)
    with contextlib.suppress(KeyboardInterrupt), _signals_interrupt():
        if not no_drain:
            _drain(place, destination)
        if not own_database(place).exists():
            raise _nothing_to_show(place, destination)
        with serve(place, chosen) as server:
            click.echo(f"MLflow: http://{HOST}:{chosen}/", err=True)
            for name, address in links(chosen):
                click.echo(f"  {name}: {address}", err=True)
            click.echo("Ctrl-C ends it.", err=True)
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
    click.echo(f"Publishing {waiting} results that still waited ...", err=True)
    command = [sys.executable, "-P", "-m", "bdbench.tracking.publisher", str(home.path)]
    log = home.spool / "publisher.log"
    with log.open("ab") as output:
        subprocess.run(  # noqa: S603 -- our own module
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    left = len(spool.pending())
    if left:
        click.echo(
            f"{left} of them still wait for {destination.shown}; what happened is in {log}.",
            err=True,
        )


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
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
