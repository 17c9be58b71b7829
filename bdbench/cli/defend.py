"""``bdbench defend``: clean a checkpoint of one's own, outside any benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdbench.api import InputError
from bdbench.cli.defending import make_teller
from bdbench.cli.options import as_json, common, echo_json, make_host, say
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.suite.reader import parse_value
from bdbench.suite.schema import parse_entry

if TYPE_CHECKING:
    from bdbench.api import Model

__all__ = ["defend"]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("defend")
@click.argument("checkpoint", type=FOLDER)
@click.option(
    "--defense", "names", multiple=True, required=True, help="A repair; several act in order."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option(
    "--clean",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Labelled clean rows: parquet, CSV, TSV, JSON.",
)
@click.option("--base", help="Clean pre-trained weights: minilm, hf:org/name@revision or a folder.")
@click.option(
    "--with", "references", multiple=True, type=FOLDER, help="Another model for the same task."
)
@click.option("--set", "settings", multiple=True, metavar="DEFENSE.KEY=VALUE", help="A setting.")
@click.option("--text", default="text", show_default=True, help="Column of --clean with the text.")
@click.option("--text-pair", help="Column of --clean with the second text of a pair.")
@click.option("--label", default="label", show_default=True, help="Column of --clean.")
@click.option("--max-length", default=128, show_default=True, help="Tokens of a row that are kept.")
@click.option("--seed", default=0, show_default=True, help="For everything that is random.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@as_json
@common
def defend(
    checkpoint: Path,
    names: tuple[str, ...],
    out: Path,
    clean: Path | None,
    base: str | None,
    references: tuple[Path, ...],
    settings: tuple[str, ...],
    text: str,
    text_pair: str | None,
    label: str,
    max_length: int,
    seed: int,
    precision: str,
    as_json: bool,  # noqa: FBT001 -- click passes options by name
) -> int:
    """Apply repairs to CHECKPOINT, a classifier as transformers saves it, and write OUT.

    A repair is a defense that changes the model: `bdbench show NAME` tells the stages of each.
    Filters of training data and screens of inputs are for suites.

    CHECKPOINT may also be a LoRA adapter, which `merge` merges with others.

    OUT is a safetensors checkpoint that transformers loads, in the types of CHECKPOINT (bf16 stays
    bf16), with a report beside it.
    """
    if out.exists():
        raise InputError(
            "the folder for the result is there already",
            where=f"--out {out}",
            expected="a folder that does not exist yet",
            next="name another, or remove it",
        )
    from bdbench.api import Checkpoint  # noqa: PLC0415 -- with the engine below
    from bdbench.builtin.datasets_config import FilesConfig  # noqa: PLC0415
    from bdbench.builtin.datasets_files import read_labelled  # noqa: PLC0415 -- pyarrow
    from bdbench.engine.sanitising import (  # noqa: PLC0415 -- torch
        Given,
        is_adapter,
        read_task,
        sanitise,
    )

    host = make_host()
    fields = ("text",) if text_pair is None else ("text", "text_pair")
    task = read_task(checkpoint, fields)
    rows = None
    adapter = is_adapter(checkpoint)
    if adapter and clean is not None:
        raise InputError(
            "an adapter by itself answers no rows",
            where=f"--clean {clean}",
            found=f"an adapter in {checkpoint}",
            expected="a whole model",
            next="leave --clean out; or fold the adapter into its base and name that",
        )
    if clean is not None:
        columns = FilesConfig(
            train=clean,
            test=clean,
            text=text,
            text_pair=text_pair,
            label=label,
            classes=list(task.classes),
        )
        rows = read_labelled(clean, columns)
    given = Given(
        checkpoint=Checkpoint(checkpoint),
        task=task,
        model=None if adapter else _model(host, str(checkpoint.absolute()), max_length),
        base=None if base is None else _model(host, _place(base), max_length),
        references=tuple(map(Checkpoint, references)),
        clean=rows,
        seed=seed,
        precision=precision,
        origins={
            "base": None if base is None else _place(base),
            "clean_file": None if clean is None else str(clean),
            "max_length": max_length,
        },
    )
    steps = _steps(names, settings)
    say(f"applying {', '.join(names)} to {checkpoint} ...")
    with make_teller() as teller:
        report = sanitise(host, given, steps, out, teller)
    if as_json:
        echo_json(report)
    else:
        _print(report, out)
    return 0


def _place(base: str) -> str:
    """A folder that is there by its whole path, whatever else the name could mean."""
    return str(Path(base).absolute()) if Path(base).is_dir() else base


def _model(host: Host, name: str, max_length: int) -> Model:
    """A model family by the names that a suite uses for one."""
    entry = parse_entry(name, where=name)
    component = host.find("model", entry.component, where=name)
    values = {**entry.config, "max_length": max_length}
    config = configure(host, component, values, where=name)
    model: Model = host.load_class(component)(config)
    return model


def _steps(names: tuple[str, ...], settings: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    chosen: dict[str, dict[str, Any]] = {name: {} for name in names}
    for item in settings:
        key, equals, value = item.partition("=")
        name, dot, setting = key.partition(".")
        if not equals or not dot or name not in chosen:
            raise InputError(
                "a setting does not fit",
                where=f"--set {item}",
                expected=f"{names[0]}.<setting>=<value>, for a defense named with --defense",
                next=f"see `bdbench show {names[0]}`",
            )
        chosen[name][setting] = parse_value(value, f"--set {item}")
    return [(name, chosen[name]) for name in names]


def _print(report: dict[str, Any], out: Path) -> None:
    click.echo(f"written     {out}")
    click.echo(f"changed     {report['parameters_changed']:.1%} of all weights")
    if report["clean_accuracy_before"] is not None:
        before, after = report["clean_accuracy_before"], report["clean_accuracy_after"]
        click.echo(
            f"accuracy    {before:.3f} before, {after:.3f} after, on the {report['clean_rows']} "
            "rows given (which a defense may have used)"
        )
    click.echo(f"took        {report['cost']['wall_seconds']:.1f} s")
    click.echo(f"report      {out / 'bdbench-report.json'}")
    say("\nA repaired model can still be backdoored: no defense removes every trigger.")
