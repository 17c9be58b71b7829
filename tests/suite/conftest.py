"""Suites from their text, and plans of the toy suite."""

from __future__ import annotations

import copy
import json

import pytest

from bdbench.suite.planning import build_plan
from bdbench.suite.reader import read_document
from bdbench.suite.resolve import resolve
from bdbench.suite.schema import parse_suite

TOY = {
    "name": "toy",
    "seeds": [0],
    "datasets": ["toy-blobs"],
    "models": ["toy-linear"],
    "attacks": [{"toy-patch": {"poison_rate": 0.2}}],
    "defenses": ["toy-mean", "toy-tune", "toy-base", "toy-clip", "toy-filter"],
    "metrics": ["toy-rates"],
    "defender": {"clean_rows": 16, "references": ["control"], "training_data": True},
    "training": {"precision": "fp32"},
}


@pytest.fixture
def parse(tmp_path):
    """A suite from its text, read as the file ``suite.yaml``."""

    def parse(text):
        path = tmp_path / "suite.yaml"
        path.write_text(text, "utf-8")
        return parse_suite(read_document(path, source="suite.yaml"))

    return parse


@pytest.fixture
def toy():
    """The document of the toy suite, with one attack and five defenses."""
    return copy.deepcopy(TOY)


@pytest.fixture
def two_attacks(toy):
    """The attack of the toy suite, labelled `toy-patch`, and another, labelled `other`."""
    return [*toy["attacks"], {"toy-patch": {"target": 0}, "name": "other"}]


@pytest.fixture
def every_defense(toy):
    """The defenses of the toy suite and a composition."""
    return [*toy["defenses"], ["toy-mean", "toy-clip"]]


@pytest.fixture
def resolve_toy(parse, toy, toy_host):
    """The toy suite, resolved, with some keys changed."""

    def resolve_toy(**changes):
        # JSON is YAML.
        return resolve(parse(json.dumps({**toy, **changes})), toy_host)

    return resolve_toy


@pytest.fixture
def plan_toy(resolve_toy):
    """The plan of the toy suite with some keys changed."""

    def plan_toy(selection=None, **changes):
        return build_plan(resolve_toy(**changes), selection)

    return plan_toy


@pytest.fixture
def cell_of():
    """The one cell of a plan with an attack, a defense and a seed."""

    def cell_of(plan, attack="toy-patch", defense="none", seed=0):
        (cell,) = (
            cell
            for cell in plan.cells
            if (cell.attack.label, cell.defense.label, cell.seed) == (attack, defense, seed)
        )
        return cell

    return cell_of
