"""Writes to MLflow so that any write may be cut short and repeated: each thing is there once.

A run is found by its key, a tag that is set when the run is created, in one transaction. It is
then filled in one batch, gets its artifacts, its end, and last the tag `COMPLETE`. A run
without that tag is filled again, with the same numbers at the same times, which adds nothing.
A complete run that says something else than the record does (a failure that has since
succeeded) is deleted after its successor is complete; MLflow keeps deleted runs restorable.
"""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock

from bdbench.home import Home
from bdbench.store.objects import Store
from bdbench.tracking.content import (
    COMPLETE,
    DIGEST,
    KEY,
    NOTE_LENGTH,
    PAGE,
    RunContent,
    cell_run,
    victim_run,
)
from bdbench.tracking.destination import Destination, own_database
from bdbench.tracking.names import cut_lines, cut_text, one_line
from bdbench.tracking.spool import Item, key_of
from bdbench.tracking.view import VIEW_TAG, saved_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["Tracker"]

PREDICTIONS = {"predictions_clean": "clean", "predictions_triggered": "triggered"}
LOCAL_DISKS = {"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "overlay", "tmpfs", "xfs"}


def _settle_environment() -> None:
    """Sets what MLflow reads from the environment; before it is imported."""
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
        MLFLOW_ENABLE_ASYNC_LOGGING="false",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
    )
    patience = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "60",
    }
    for name, value in patience.items():
        os.environ.setdefault(name, value)


class Tracker:
    """The MLflow side of publishing, for one home and one destination.

    Every method raises what MLflow raises: the caller decides what a failure means.
    """

    def __init__(self, home: Home, destination: Destination) -> None:
        self._home = home
        self._destination = destination
        self._experiments: dict[str, str] = {}
        self._victims: dict[str, str] = {}

    def publish(self, item: Item) -> str:
        """Brings MLflow up to an item and returns the MLflow run (or experiment) that shows it."""
        experiment = self._experiment(item.suite)
        if item.kind == "run":
            return self._publish_run(experiment, item)
        parent = self._publish_victim(experiment, item)
        more = {"mlflow.parentRunId": parent} if parent else {}

        def artifacts(run_id: str) -> None:
            self._log_artifacts(run_id, item.body)

        return self._write(experiment, cell_run(item), more, artifacts)

    @cached_property
    def _client(self) -> MlflowClient:
        _settle_environment()
        from mlflow import MlflowClient  # noqa: PLC0415 -- seconds; only when there is work

        if not self._destination.own:
            return MlflowClient(self._destination.uri)
        self._home.mlflow.mkdir(parents=True, exist_ok=True)
        # Two processes that meet a new database at once would both create its tables.
        with FileLock(self._home.mlflow / "init.lock"):
            client = MlflowClient(self._destination.uri)
            client.search_experiments(max_results=1)
            self._keep_log_beside_database()
        return client

    def _keep_log_beside_database(self) -> None:
        """Lets people read the database while it is written to (SQLite's WAL mode).

        The mode stays with the file. It needs shared memory, so not on a network's disk.
        SQLite still syncs at each commit: what is marked as published is on the disk.
        """
        if _file_system(self._home.mlflow) in LOCAL_DISKS:
            connection = sqlite3.connect(own_database(self._home), timeout=20)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()

    def _experiment(self, suite: str) -> str:
        """The experiment of a suite, made if need be, with its saved view."""
        if suite in self._experiments:
            return self._experiments[suite]
        name = f"bdbench/{one_line(suite, 200)}"
        client = self._client
        with FileLock(self._home.spool / "experiment.lock"):
            found = client.get_experiment_by_name(name)
            if found is None:
                place = None
                if self._destination.own:
                    place = (self._home.mlflow / "artifacts" / key_of(suite)[:12]).as_uri()
                identity: str = client.create_experiment(name, artifact_location=place)
            else:
                identity = found.experiment_id
                if found.lifecycle_stage == "deleted":
                    client.restore_experiment(identity)
        present = found.tags if found else {}
        wanted = {
            "mlflow.experimentKind": "custom_model_development",
            "bdbench.suite": cut_text(suite),
            VIEW_TAG: saved_view(),
        }
        for tag, value in wanted.items():
            if tag not in present:  # what people change stays changed
                client.set_experiment_tag(identity, tag, value)
        self._experiments[suite] = identity
        return identity

    def _publish_victim(self, experiment: str, item: Item) -> str | None:
        content = victim_run(item)
        if content is None:
            return None
        if content.key not in self._victims:
            run_id = self._write(experiment, content, {}, lambda _: None)
            if not content.settled:
                return run_id
            self._victims[content.key] = run_id
        return self._victims[content.key]

    def _write(
        self,
        experiment: str,
        content: RunContent,
        more: Mapping[str, str],
        log_artifacts: Callable[[str], None],
    ) -> str:
        """The one run of this content, complete; outdated and doubled runs are deleted."""
        client = self._client
        tags = {**more, **content.tags}
        run, others = self._ensure(
            experiment,
            key=content.key,
            digest=content.digest,
            name=content.name,
            start_ms=content.start_ms,
            tags=tags,
        )
        run_id: str = run.info.run_id
        if run.data.tags.get(COMPLETE) != "true":
            self._fill(run, content, tags)
            log_artifacts(run_id)
            client.set_terminated(run_id, content.status, content.end_ms)
            if content.settled:
                client.set_tag(run_id, COMPLETE, "true")
        self._delete(others)
        return run_id

    def _ensure(
        self,
        experiment: str,
        *,
        key: str,
        digest: str,
        name: str,
        start_ms: int,
        tags: Mapping[str, str],
    ) -> tuple[Run, list[Run]]:
        """The run of this key and digest, made if there is none, and others of the key."""
        run, others = self._find(experiment, key, digest)
        if run is None:
            identity = {KEY: key, DIGEST: digest, "mlflow.user": self._user}
            self._client.create_run(
                experiment, start_time=start_ms, run_name=name, tags={**identity, **tags}
            )
            # A lost answer makes the client ask twice, and another machine may publish too.
            run, others = self._find(experiment, key, digest)
        if run is None:
            raise RuntimeError(f"MLflow does not find the run that it has just created: {name}")
        return run, others

    def _delete(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._client.delete_run(run.info.run_id)

    def _find(self, experiment: str, key: str, digest: str) -> tuple[Run | None, list[Run]]:
        """The run that counts among those with a key, and the rest.

        Everybody who looks chooses the same one.
        """
        query = f"tags.`{KEY}` = '{key}'"
        runs: list[Run] = list(self._client.search_runs([experiment], query, max_results=50))

        def rank(run: Run) -> tuple[bool, str]:
            return run.data.tags.get(COMPLETE) != "true", run.info.run_id

        same = sorted((run for run in runs if run.data.tags.get(DIGEST) == digest), key=rank)
        if not same:
            return None, runs
        return same[0], [run for run in runs if run.info.run_id != same[0].info.run_id]

    def _fill(self, run: Run, content: RunContent, tags: Mapping[str, str]) -> None:
        """Logs what a run lacks.

        A victim may be met again by another cell's record, at another time and naming its files
        elsewhere; MLflow refuses a changed parameter and adds a point to a metric.
        """
        from mlflow.entities import (  # noqa: PLC0415
            Dataset,
            DatasetInput,
            InputTag,
            Metric,
            Param,
            RunTag,
        )

        run_id: str = run.info.run_id
        metrics = {n: v for n, v in content.metrics.items() if n not in run.data.metrics}
        parameters = {n: v for n, v in content.parameters.items() if n not in run.data.params}
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, content.end_ms, 0) for name, value in metrics.items()],
            params=[Param(name, value) for name, value in parameters.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        inputs = []
        for data in content.datasets:
            dataset = Dataset(data.name, data.digest, "bdbench", data.source, profile=data.profile)
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)]))
        if inputs:
            self._client.log_inputs(run_id, inputs)

    def _log_artifacts(self, run_id: str, record: Mapping[str, Any]) -> None:
        client, store = self._client, Store(self._home.store)
        client.log_text(run_id, json.dumps(record, indent=1), "record.json")
        client.log_text(run_id, json.dumps(record["environment"], indent=1), "environment.json")
        client.log_text(run_id, self._installed, "requirements.txt")
        for role, place in PREDICTIONS.items():
            key = record["stages"].get(role, "")
            path = store.files(key) / "predictions.parquet" if _is_key(key) else None
            if path and path.is_file():
                client.log_artifact(run_id, str(path), f"predictions/{place}")

    @cached_property
    def _user(self) -> str:
        try:
            return one_line(getpass.getuser())
        except (KeyError, OSError):  # a user without a name, as in some containers
            return "unknown"

    @cached_property
    def _installed(self) -> str:
        found = {f"{dist.name}=={dist.version}" for dist in distributions()}
        return "\n".join(
            ["# installed where this was published", *sorted(found, key=str.lower), ""]
        )

    def _publish_run(self, experiment: str, item: Item) -> str:
        """Shows a run's start or end; its leaderboard stands in one run that stays the same."""
        client, status = self._client, str(item.body["status"])
        client.set_experiment_tag(experiment, "bdbench.run_id", cut_text(item.run_id))
        client.set_experiment_tag(experiment, "bdbench.run_status", status)
        files: Mapping[str, str] = item.body["files"]
        if not files:
            return experiment
        key = key_of("leaderboard", item.suite)
        tags = {
            "bdbench.kind": "leaderboard",
            "bdbench.suite": cut_text(item.suite),
            "bdbench.run_id": cut_text(item.run_id),
            "bdbench.status": status,
            PAGE: next(iter(files)),
            "mlflow.source.name": "bdbench",
            "mlflow.source.type": "LOCAL",
        }
        note = files.get("leaderboard.md", "")
        if note:
            tags["mlflow.note.content"] = cut_lines(note, NOTE_LENGTH, "(cut; see leaderboard.md)")
        run, others = self._ensure(
            experiment, key=key, digest=key, name="leaderboard", start_ms=item.at_ms, tags=tags
        )
        run_id: str = run.info.run_id
        for tag, value in tags.items():
            client.set_tag(run_id, tag, value)
        for name, text in files.items():
            client.log_text(run_id, text, name)
        client.set_terminated(run_id, "FINISHED", item.at_ms)
        client.set_tag(run_id, COMPLETE, "true")
        self._delete(others)
        return run_id


def _is_key(text: str) -> bool:
    return bool(text) and all(char in "0123456789abcdef" for char in text)


def _file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, as the system names it."""
    path = os.path.realpath(folder)
    mounts = [
        part
        for part in psutil.disk_partitions(all=True)
        if path == part.mountpoint or path.startswith(part.mountpoint.rstrip("/") + "/")
    ]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else ""
