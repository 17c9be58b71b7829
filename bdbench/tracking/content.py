"""What an MLflow run says about a cell or a victim: plain data, made without MLflow.

Everything in a record that a plugin or a suite's author chose (labels, settings, reasons) is
foreign text here: bounded, and made acceptable by `bdbench.tracking.names`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bdbench.tracking.names import by_safe_name, cut_lines, cut_text, finite, flatten, one_line
from bdbench.tracking.spool import Item, key_of

__all__ = [
    "COMPLETE",
    "DIGEST",
    "KEY",
    "NOTE_LENGTH",
    "PAGE",
    "SETTING",
    "DatasetInput",
    "RunContent",
    "cell_run",
    "victim_run",
]

KEY = "bdbench.key"
DIGEST = "bdbench.digest"
COMPLETE = "bdbench.complete"
PAGE = "bdbench.page"
SETTING = "setting"

NOTE_LENGTH = 5000
PARAMETERS = 400
METRICS = 1000
SETTING_LENGTH = 8
DIGEST_LENGTH = 12  # MLflow stores up to 36 characters and shows them all


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """Data that a run read.

    Attributes:
        name: The data set's name in the suite.
        digest: The key of the stage that made it, as much as MLflow keeps.
        context: What it was used for.
        source: Where it came from, as JSON.
        profile: What its stage noted, such as its rows, as JSON; None if that is long.
    """

    name: str
    digest: str
    context: str
    source: str
    profile: str | None


@dataclass(frozen=True, slots=True)
class RunContent:
    """One MLflow run, but for its artifacts.

    Attributes:
        key: Its identity within the experiment.
        digest: What it says; a run of the same key that says something else is outdated.
        name: What people see first.
        status: ``FINISHED`` or ``FAILED``.
        start_ms: Start, in milliseconds since 1970.
        end_ms: End, likewise; the time between is what its own stages took.
        tags: For filters and joins.
        parameters: Settings, flat.
        metrics: Finite numbers.
        datasets: What it read.
        settled: Whether it can be marked complete.
    """

    key: str
    digest: str
    name: str
    status: str
    start_ms: int
    end_ms: int
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Sequence[DatasetInput] = field(default=())
    settled: bool = True


def cell_run(item: Item) -> RunContent:
    """The run of a cell."""
    record = item.body
    attack, seed = _label(record["attack"]), record["seed"]
    success = record["status"] == "success"
    own = {stage: cost for stage, cost in record["costs"].items() if stage != "victim"}
    given = [(str(name), value) for name, value in record["metrics"].items()]
    numbers = [(name, finite(value)) for name, value in given] + _costs(record["costs"])
    metrics = by_safe_name((name, value) for name, value in numbers if value is not None)
    left_out = [name for name, value in given if value is not None and finite(value) is None]
    tags = {
        **_tags(item, "cell"),
        "bdbench.cell_id": record["cell_id"],
        "bdbench.defense": record["defense_label"],
        "bdbench.status": record["status"],
        "bdbench.isolation": record["isolation"],
        "bdbench.selection": record["selection"],
        "bdbench.needs": record["needs"],
        "bdbench.component.defense": " + ".join(map(_component, record["defense"])),
        "bdbench.left_out": ", ".join(left_out),
        "mlflow.note.content": "" if success else f"**{record['status']}**: {record['reason']}",
    }
    return RunContent(
        key=item.key,
        digest=item.digest,
        name=f"{one_line(attack)} · {one_line(record['defense_label'])} seed {seed}",
        status="FINISHED" if success else "FAILED",
        start_ms=item.at_ms - _milliseconds(own.values()),
        end_ms=item.at_ms,
        tags=_bounded(tags),
        parameters=_parameters(record, _of_cell(record)),
        metrics=dict(islice(metrics.items(), METRICS)),
        datasets=list(_datasets(record)),
    )


def victim_run(item: Item) -> RunContent | None:
    """The run of the victim behind a cell, or None if the cell never came to one.

    All cells of one victim give the same key and settings. Where the cell failed, whether the
    victim was trained is known from its cost; if it was not, its run stays open until another
    cell settles it.
    """
    record = item.body
    stage = record["stages"].get("victim", "")
    if not stage:
        return None
    labels = [_label(record[part]) for part in ("dataset", "model", "attack")]
    cost = record["costs"].get("victim")
    trained = record["status"] == "success" or cost is not None
    key = key_of("victim", item.suite, stage, *labels)
    others = [cost for name, cost in record["costs"].items() if name != "victim"]
    end = item.at_ms - _milliseconds(others)
    tags = {
        **_tags(item, "victim"),
        "bdbench.victim": stage,
        "bdbench.status": "success" if trained else record["status"],
    }
    return RunContent(
        key=key,
        digest=key,
        name=f"{one_line(labels[2])} seed {record['seed']}",
        status="FINISHED" if trained else "FAILED",
        start_ms=end - _milliseconds([cost or {}]),
        end_ms=end,
        tags=_bounded(tags),
        parameters=_parameters(record, []),
        metrics=by_safe_name((n, v) for n, v in _costs({"victim": cost or {}}) if v is not None),
        datasets=list(_datasets(record)),
        settled=trained,
    )


def _tags(item: Item, kind: str) -> dict[str, str]:
    record = item.body
    parts = ("dataset", "model", "attack")
    return {
        "bdbench.kind": kind,
        "bdbench.suite": item.suite,
        "bdbench.run_id": item.run_id,
        "bdbench.seed": str(record["seed"]),
        **{f"bdbench.{part}": _label(record[part]) for part in parts},
        **{f"bdbench.component.{part}": _component(record[part]) for part in parts},
        "mlflow.source.name": "bdbench",
        "mlflow.source.type": "LOCAL",
    }


def _bounded(tags: Mapping[str, str]) -> dict[str, str]:
    note = tags.get("mlflow.note.content", "")
    bounded = {name: cut_text(str(value)) for name, value in tags.items() if value}
    if note:
        bounded["mlflow.note.content"] = cut_lines(note, NOTE_LENGTH, "(cut; see record.json)")
    return bounded


def _parameters(record: Mapping[str, Any], more: Sequence[tuple[str, str]]) -> dict[str, str]:
    pairs = [("seed", str(record["seed"]))]
    for part in ("dataset", "model", "attack"):
        pairs.append((part, cut_text(_label(record[part]))))
        pairs += _settings(part, record[part]["config"])
    pairs += [(name, cut_text(text)) for name, text in more]
    pairs += _settings("training", record["training"])
    named = by_safe_name(pairs)
    if len(named) > PARAMETERS:
        named = dict(islice(named.items(), PARAMETERS - 1))
        named["left_out"] = f"{len(pairs) - len(named)} more settings; see record.json"
    return named


def _of_cell(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a cell has beside its victim's settings."""
    granted = record.get("granted", {})  # a spool may hold records of an older version
    return [
        ("defense", record["defense_label"]),
        (SETTING, _setting(record)),
        *_defense(record),
        *_settings("granted", granted),
    ]


def _setting(record: Mapping[str, Any]) -> str:
    """Short for everything behind a cell but its seed: the same for cells that may be averaged."""
    parts = ("dataset", "model", "attack", "defense", "references", "measured_by")
    named = {name: record.get(name) for name in (*parts, "training", "granted")}
    text = json.dumps(named, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:SETTING_LENGTH]


def _defense(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The settings of each defense, under its short name whether it acts alone or composed."""
    seen: dict[str, int] = {}
    for part in record["defense"]:
        name = str(part["component"]).rpartition("/")[2]
        seen[name] = seen.get(name, 0) + 1
        nth = f".{seen[name]}" if seen[name] > 1 else ""
        yield from _settings(f"defense.{name}{nth}", part["config"])


def _settings(prefix: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return flatten(prefix, config) if config else iter(())


def _costs(costs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, float | None]]:
    return [
        (f"cost/{stage}/{name}", finite(value))
        for stage, cost in costs.items()
        for name, value in cost.items()
    ]


def _datasets(record: Mapping[str, Any]) -> Iterator[DatasetInput]:
    name = one_line(_label(record["dataset"]))
    roles = {"data": (name, "clean", "dataset")}
    roles["poison"] = (f"{name} + {one_line(_label(record['attack']))}", "poisoned", "attack")
    for role, (shown, context, part) in roles.items():
        stage = record["stages"].get(role)
        if stage:
            component = record[part]
            source = {"component": component["component"], "config": component["config"]}
            yield DatasetInput(
                name=shown,
                digest=stage[:DIGEST_LENGTH],
                context=context,
                source=_json(source) or "{}",
                profile=_json(record["notes"].get(role, {})),
            )


def _json(data: Any) -> str | None:
    text = json.dumps(data, sort_keys=True)
    return text if len(text) <= NOTE_LENGTH else None


def _milliseconds(costs: Any) -> int:
    seconds = sum(finite(cost.get("wall_seconds", 0.0)) or 0.0 for cost in costs)
    return int(1000 * min(max(seconds, 0.0), 1e8))


def _label(component: Mapping[str, Any]) -> str:
    return str(component["label"])


def _component(component: Mapping[str, Any]) -> str:
    return f"{component['component']} {component['version']} r{component['revision']}"
