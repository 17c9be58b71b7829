"""The saved view, against what is really published."""

from __future__ import annotations

import json
import re

from bdbench.tracking.publisher import drain
from bdbench.tracking.view import VIEW_TAG, saved_view


def test_the_view_shows_sorts_and_groups_by_what_cells_have(home, observer, runs, make_record):
    observer.finished_cell(make_record(metrics={"asr": 0.5, "asr_floor": 0.1, "der": 0.7}))
    drain(home.path)
    (run,) = runs()
    tags = runs.client.get_experiment(run.info.experiment_id).tags
    state = json.loads(json.loads(tags[VIEW_TAG])["state"])

    assert tags[VIEW_TAG] == saved_view()
    has = {"params": run.data.params, "tags": run.data.tags}
    for column in [state["orderByKey"], *state["selectedColumns"]]:
        kind, name = re.fullmatch(r"(\w+)\.`(.+)`", column).groups()
        assert name in has.get(kind, [name]), column
    shown = {re.search("`(.+)`", column)[1] for column in state["selectedColumns"]}
    assert set(run.data.metrics) & shown >= {"asr", "asr_floor", "der"}
    grouping = state["groupBy"]
    assert grouping["aggregateFunction"] == "average"
    assert {key["mode"] for key in grouping["groupByKeys"]} == {"param"}
    groups = [key["groupByData"] for key in grouping["groupByKeys"]]
    assert groups == ["attack", "defense", "dataset", "model", "setting"]
    assert set(groups) < run.data.params.keys()


def test_only_the_seeds_of_a_cell_are_averaged(home, observer, runs, make_record):
    """Not a trial with the result, nor 16 clean rows with 64."""
    result = {"clean_rows": 64, "limit": None}
    for at, (seed, granted) in enumerate(
        [(0, result), (1, result), (0, {**result, "limit": 100}), (0, {**result, "clean_rows": 16})]
    ):
        observer.finished_cell(make_record(seed=seed, granted=granted, cell_id=f"{at:064}"))
    drain(home.path)

    params = [run.data.params for run in runs("cell")]
    setting = {
        (p["seed"], p["granted.clean_rows"], p["granted.limit"]): p["setting"] for p in params
    }
    assert setting["0", "64", "null"] == setting["1", "64", "null"]
    assert len(set(setting.values())) == 3
