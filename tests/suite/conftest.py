"""Suites and plans made from a few keys."""

from __future__ import annotations

import json

import pytest

from bdbench.suite.plan import build_plan
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
def resolve_toy(parse, toy_host):
    """The toy suite, resolved, with some keys changed."""

    def resolve_toy(**changes):
        # JSON is YAML, and dumps in the order of its keys.
        return resolve(parse(json.dumps({**TOY, **changes})), toy_host)

    return resolve_toy


@pytest.fixture
def plan_toy(resolve_toy):
    """The plan of the toy suite with some keys changed."""

    def plan_toy(selection=None, **changes):
        return build_plan(resolve_toy(**changes), selection)

    return plan_toy
