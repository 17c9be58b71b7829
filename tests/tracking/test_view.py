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
