"""The view of an experiment that `bdbench ui` links to: the columns that matter, in order.

MLflow keeps shared views in an experiment's tags. The format is its own and undocumented; a
version that reads it differently falls back to its usual columns.
"""

from __future__ import annotations

import json

from bdbench.tracking.content import SETTING

__all__ = ["VIEW_TAG", "leaderboard_path", "saved_view", "view_path"]

KIND = "workflowType=machine_learning"  # else MLflow shows its pages for language models
VIEW = "bdbench"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

NAME = "tags.`mlflow.runName`"
COLUMNS = [
    "params.`seed`",
    "metrics.`clean_accuracy`",
    "metrics.`asr`",
    "metrics.`asr_floor`",
    "metrics.`der`",
    "metrics.`cost/treated/wall_seconds`",
    "params.`dataset`",
    "params.`model`",
    "params.`attack`",
    "params.`defense`",
    "tags.`bdbench.isolation`",
    "tags.`bdbench.selection`",
    "attributes.`Duration`",
]

GROUPS = ("attack", "defense", "dataset", "model", SETTING)
"""The last of them keeps a trial apart from the result, and 16 clean rows from 64."""


def view_path(experiment: str) -> str:
    """The path, after the server's address, of an experiment seen in the saved view."""
    return f"/#/experiments/{experiment}/runs?{KIND}&viewStateShareKey={VIEW}"


def leaderboard_path(experiment: str, run: str, page: str) -> str:
    """The path, after the server's address, of a file of the leaderboard's run."""
    return f"/#/experiments/{experiment}/runs/{run}/artifacts/{page}?{KIND}"


def saved_view() -> str:
    """The saved view as the value of the tag `VIEW_TAG`; the same text each time."""
    state = {
        "searchFilter": "tags.`bdbench.kind` = 'cell'",
        # By name is by attack, then defense, then seed; only by date would MLflow nest the runs.
        "orderByKey": NAME,
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": COLUMNS,
        "columnOrder": [NAME, *COLUMNS],
        # Widths count only together with an order.
        "columnWidths": {NAME: 260, COLUMNS[0]: 60, COLUMNS[1]: 130},
        # The seeds of a cell under their mean. MLflow knows no spread: that is on the page.
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": name} for name in GROUPS],
        },
    }
    view = {"name": "bdbench", "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return json.dumps(view)
