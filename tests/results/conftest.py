"""Records and comparisons made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bdbench.api import ComponentConfig, Direction
from bdbench.api.needs import Needs
from bdbench.api.specs import (
    AttackSpec,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    MetricSpec,
    MetricValue,
    ModelSpec,
    Role,
    Surface,
)
from bdbench.host.plugins import Component
from bdbench.results.comparison import compare
from bdbench.results.records import CellRecord, ComponentRecord, Cost
from bdbench.suite.reader import read_document
from bdbench.suite.resolve import Part, ResolvedDefense, ResolvedSuite
from bdbench.suite.schema import parse_suite

GOLDEN = Path(__file__).with_name("golden") / "comparison.json"


@pytest.fixture
def comparison():
    """A comparison that has what is hard to show; `test_golden` makes it."""
    return json.loads(GOLDEN.read_text("utf-8"))


@pytest.fixture
def row_of():
    """The row of an attack and a defense; of the first data set, where there are several."""

    def row_of(comparison, attack, defense):
        return next(
            row
            for row in comparison["rows"]
            if (row["attack"], row["defense"]) == (attack, defense)
        )

    return row_of


@pytest.fixture
def make_record():
    """A record of the toy suite."""

    def component(label):
        return ComponentRecord(
            label=label, component=f"d/{label}", version="1", revision=1, code="0", config={}
        )

    def make_record(attack="patch", defense="none", seed=0, status="success", **changes):
        metrics = changes.pop("metrics", {})
        seconds = changes.pop("seconds", None)
        costs = {} if seconds is None else {"treated": Cost(wall_seconds=seconds)}
        return CellRecord(
            cell_id=f"{attack}-{defense}-{seed}",
            suite="toy",
            seed=seed,
            dataset=component(changes.pop("dataset", "blobs")),
            model=component("linear"),
            attack=component(attack),
            defense=[component(defense)],
            defense_label=defense,
            status=status,
            needs=changes.pop("needs", "weights"),
            metrics=metrics,
            costs=costs,
            **changes,
        )

    return make_record


@pytest.fixture(scope="session")
def make_suite(tmp_path_factory):
    """A suite of components that do not exist; `none` attacks and defends nothing."""

    def part(kind, name, spec, config=None, **more):
        return Part(
            label=name,
            component=Component(
                spec(name=name, target="made.up:Class", summary="Made up.", **more),
                f"bdbench-{kind}-made-up",
                "0.1.0",
            ),
            config=ComponentConfig(),
            code=f"{len(name):064x}",
            identity=f"{kind}:{name}",
            document={"config": config or {}},
        )

    def make_suite(
        values,
        *,
        datasets=("blobs",),
        attacks=("none", "patch"),
        defenses=("none", "mean"),
        configs=None,
        citations=None,
        text="seeds: [0, 1, 2]\n",
        references=("control", "other"),
    ):
        path = tmp_path_factory.mktemp("suite") / "suite.yaml"
        keys = "name: toy\ndatasets: [d]\nmodels: [m]\nattacks: [a]\ndefenses: [x]\n"
        path.write_text(keys + text, "utf-8")
        configs, citations = configs or {}, citations or {}

        def defense(name):
            stages = frozenset() if name == "none" else frozenset({DefenseStage.REPAIR})
            found = part(
                "defense",
                name,
                DefenseSpec,
                configs.get(name),
                stages=stages,
                citation=citations.get(name, ""),
            )
            return ResolvedDefense(name, (found,), Needs())

        def attack(name):
            surfaces = frozenset() if name == "none" else frozenset({Surface.DATA})
            return part("attack", name, AttackSpec, configs.get(name), surfaces=surfaces)

        return ResolvedSuite(
            suite=parse_suite(read_document(path)),
            datasets=tuple(part("dataset", name, DatasetSpec) for name in datasets),
            models=(part("model", "linear", ModelSpec),),
            attacks=tuple(map(attack, attacks)),
            defenses=tuple(map(defense, defenses)),
            metrics=(
                part(
                    "metric", "rates", MetricSpec, values=tuple(values),
                    citation=citations.get("rates", ""),
                ),
            ),
            references=references,
            precision="fp32",
        )  # fmt: skip

    return make_suite


def value(name, direction=Direction.HIGHER, role=None, **more):
    return MetricValue(
        name=name, summary=f"{name}.", direction=direction, bounds=(0, 1), role=role, **more
    )


VALUES = (
    value("clean_accuracy", role=Role.UTILITY),
    value("asr", Direction.LOWER, Role.ATTACK),
    value("asr_floor", Direction.NONE, Role.FLOOR),
)


@pytest.fixture(name="value")
def make_value():
    """Makes what a metric gives."""
    return value


@pytest.fixture
def values():
    """The three values of the toy metric."""
    return VALUES


@pytest.fixture
def compare_toy(make_suite):
    """Compares records of the toy suite."""

    def compare_toy(records, values=VALUES, **suite):
        return compare(records, make_suite(values, **suite), "run-1", store=None)

    return compare_toy


@pytest.fixture
def whole(make_record):
    """Records of a small suite in which the attack took: accuracy and success by defense."""

    def whole(defended, seeds=3, attacks=("none", "patch"), **changes):
        records = []
        for attack in attacks:
            for defense, (accuracy, success) in {"none": (0.9, 0.9), **defended}.items():
                metrics = {"clean_accuracy": accuracy}
                if attack != "none":
                    metrics |= {"asr": success, "asr_floor": 0.1}
                records += [
                    make_record(
                        attack, defense, seed, metrics=metrics, isolation="namespace", **changes
                    )
                    for seed in range(seeds)
                ]
        return records

    return whole
