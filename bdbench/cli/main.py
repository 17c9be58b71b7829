"""The command ``bdbench``: what it is asked, and how it ends."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import click

from bdbench.api.errors import BdbenchError, InputError, PluginError
from bdbench.cli.exits import Exit

__all__ = ["COMMANDS", "main", "run"]

COMMANDS = {
    "run": "Run a suite: compare defenses on one shared victim.",
    "defend": "Apply defenses to a checkpoint of your own.",
    "leaderboard": "Show the comparison of a finished run.",
    "report": "Write a comparison to a file: HTML, LaTeX, Markdown and more.",
    "compare": "Compare two defenses, or two runs: what changed, is it significant?",
    "reproduce": "Run a finished run again from its own record; say what differs.",
    "cite": "Print BibTeX for everything in a comparison.",
    "list": "List the components that are installed.",
    "show": "Explain a component: what it does and what can be set.",
    "plugins": "List plugins; search, info, install, uninstall, verify.",
    "export-lock": "Write down the plugins, versions and code behind a suite.",
    "check": "Check a plugin: does it keep to the rules of its kind?",
    "new": "Write a plugin of your own to start from, complete and working.",
    "clean": "Free disk of what no run would use again.",
    "ui": "Open the MLflow UI over all runs.",
    "doctor": "Check this machine and this installation.",
}


@contextlib.contextmanager
def _closed_pipe_is_no_error() -> Iterator[None]:
    """Click by itself would end with 1, which here means that cells failed."""
    try:
        yield
    except BrokenPipeError:
        # The reader has seen enough (`bdbench list | head`): no complaint, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(Exit.OK) from None


class _LazyGroup(click.Group):
    """Imports a command's module only when it is called: ``--help`` must not wait for rich."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _closed_pipe_is_no_error():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _closed_pipe_is_no_error():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bdbench.cli.{_module(cmd_name)}")
        command: click.Command = getattr(module, _module(cmd_name))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _module(name: str) -> str:
    return {"list": "listing", "export-lock": "lock"}.get(name, name)


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "BDBENCH"},
    epilog="Exit codes: 0 ok, 1 some cells failed or were not reproduced, 2 interrupted, "
    "3 internal error, 4 usage, configuration or plugin error, 5 nothing to run, "
    "6 a row fails a check.",
)
@click.version_option(package_name="bdbench", prog_name="bdbench")
def main() -> None:
    """Compare backdoor defenses on equal footing.

    `bdbench run` runs the quickstart: real data, a real model, two attacks.
    """


def run(arguments: list[str] | None = None) -> None:
    """The console script: runs a command and exits with one of the documented codes."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show an arrow is no reason to fail; JSON stays JSON.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = main.main(args=arguments, prog_name="bdbench", standalone_mode=False)
    except click.exceptions.Abort:
        code = Exit.INTERRUPTED
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = Exit.BAD_INPUT
    except Exception as error:  # noqa: BLE001 -- whatever it is becomes an exit code
        code = _explain(error, debug="--debug" in arguments)
    sys.exit(int(code) if isinstance(code, int) else 0)


def _explain(error: Exception, *, debug: bool) -> Exit:
    if debug:
        click.echo(_harmless(traceback.format_exc()), err=True, nl=False)
    if isinstance(error, BdbenchError):
        click.echo(_harmless(f"bdbench: {error}"), err=True)
        # Neither what was given nor a plugin: something on the way broke.
        given = isinstance(error, InputError | PluginError)
        return Exit.BAD_INPUT if given else Exit.SOME_CELLS_FAILED
    text = f"bdbench: internal error: {type(error).__name__}: {error}."
    text += "" if debug else " Next: add --debug and report what it prints."
    click.echo(_harmless(text), err=True)
    return Exit.INTERNAL_ERROR


def _harmless(text: str) -> str:
    """Messages quote what stood in files: nothing of it may act on the terminal."""
    from bdbench.results.render.cells import visible  # noqa: PLC0415 -- only where it went wrong

    return "\n".join(visible(line) for line in text.split("\n"))
