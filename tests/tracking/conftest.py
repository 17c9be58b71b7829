from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from bdbench.home import Home
from bdbench.store.objects import Store
from bdbench.tracking.destination import own_database, resolve_destination
from bdbench.tracking.observer import RunObserver
from bdbench.tracking.publisher import Publisher
from bdbench.tracking.tracker import Tracker


def key(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def component(label, name, **config):
    return {
        "label": label,
        "component": f"bdbench-{name}/{name}",
        "version": "0.1.0",
        "revision": 1,
        "code": "c0de",
        "config": config,
    }


@pytest.fixture
def make_record():
    """Records as the host writes them."""

    def make(attack="badnets", defense="merge", seed=0, status="success", **changes):
        success = status == "success"
        cost = {"wall_seconds": 2.0, "gradient_steps": 7}
        record = {
            "schema_version": 1,
            "cell_id": key("cell", attack, defense, seed),
            "suite": "quick",
            "seed": seed,
            "dataset": component("sst2", "files", train="a.parquet"),
            "model": component("minilm", "hf", path="minilm"),
            "attack": component(attack, attack, triggers=["cf", "mn"], poison_rate=0.1),
            "defense": [] if defense == "none" else [component(defense, defense, rho=0.3)],
            "defense_label": defense,
            "status": status,
            "reason": "" if success else "weights: NaN in the classifier",
            "needs": "64 clean rows, weights",
            "metrics": {"clean_accuracy": 0.91, "asr": 0.25, "auroc": None} if success else {},
            "costs": {"victim": {"wall_seconds": 60.0}, "treated": cost},
            "stages": {
                "data": key("data", seed),
                "poison": key("poison", attack, seed),
                "victim": key("victim", attack, seed),
                "predictions_clean": key("clean", attack, defense, seed),
            },
            "notes": {},
            "training": {"epochs": 2},
            "environment": {"torch": "2.13.0"},
            "isolation": "namespaces",
            "selection": "fixed",
        }
        return {**record, **changes}

    return make


@pytest.fixture
def put_predictions(home):
    """Stores the clean predictions of a record."""

    def put_predictions(record):
        def make(folder):
            (folder / "predictions.parquet").write_bytes(b"PAR1")
            return {"notes": {}}

        Store(home.store).ensure("predictions", record["stages"]["predictions_clean"], make)

    return put_predictions


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    """Nobody's own settings take part, and what publishing sets is undone."""
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """An empty MLflow database; making its tables takes a second or two."""
    home = Home(tmp_path_factory.mktemp("template"))
    tracker = Tracker(home, resolve_destination(home, {}))
    assert tracker._client.search_experiments() is not None
    return own_database(home)


@pytest.fixture
def home(tmp_path, database):
    home = Home(tmp_path / "a home")
    home.mlflow.mkdir(parents=True)
    shutil.copy(database, own_database(home))
    return home


@pytest.fixture
def runs(home):
    """The active runs of a suite's experiment, by kind; and MLflow's client."""
    from mlflow import MlflowClient

    client = MlflowClient(resolve_destination(home, {}).uri)

    def find(kind="cell", suite="quick", *, complete=False, view=1):
        experiment = client.get_experiment_by_name(f"bdbench/{suite}")
        if experiment is None:
            return []
        query = f"tags.`bdbench.kind` = '{kind}'"
        if complete:
            query += " and tags.`bdbench.complete` = 'true'"
        return list(client.search_runs([experiment.experiment_id], query, run_view_type=view))

    find.client = client
    return find


class Spooling(RunObserver):
    """An observer that never starts a publisher."""

    def _keep_publishing(self):
        self._starts += 1


@pytest.fixture
def observer(home):
    return Spooling("run-1", "quick", home.path)


@pytest.fixture
def publisher(home):
    return Publisher(home, resolve_destination(home))
