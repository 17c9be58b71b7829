"""A whole comparison, from records and rows of known truth to the document that others read.

The renderers' tests read golden/comparison.json too: it has what is hard to show.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bdbench.api import Direction
from bdbench.api.specs import MetricValue, Role
from bdbench.results.comparison import compare
from bdbench.results.records import CellRecord, ComponentRecord, Cost
from bdbench.store import objects

GOLDEN = Path(__file__).with_name("golden") / "comparison.json"

HOSTILE_ATTACK = "</script><img src=x onerror=alert(1)>"
HOSTILE_DEFENSE = 'prune "></td>\u202e\x1b[31m{\\LaTeX}_%$#&~^'

SEEDS = (0, 1, 2)
ROWS = 400
DATASETS = {
    "sst2": ("negative", "positive"),
    "ag-news": ("World", "Sports", "Business", "Sci/Tech"),
}
SUCCESS = {"none": None, "badnets": 3.2, "insertsent": 2.6, "lws": -0.4, HOSTILE_ATTACK: 1.6}
"""Of each attack, the probit of its success on an undefended victim, about."""

DEFENSES = {
    "none": (0.0, 0.0, "nothing"),
    "merge": (-4.2, -0.02, "weights, 2+ reference models"),
    "fine-mixing": (-3.4, -0.1, "weights, base weights, 64+ clean rows"),
    "onion": (-3.8, -0.15, "32+ clean rows"),
    "ulrl": (-3.0, -0.3, "weights, 64+ clean rows"),
    HOSTILE_DEFENSE: (-2.0, -0.05, "weights, 64+ clean rows"),
}
"""Of each defense, what it adds to the probits of success and of accuracy, and its needs."""

VALUES = (
    ("clean_accuracy", "Share of the clean test rows that get their true label.", Direction.HIGHER,
     (0, 1), "share", Role.UTILITY),
    ("clean_accuracy_change", "Clean accuracy minus that of the undefended victim.",
     Direction.HIGHER, (-1, 1), "share", None),
    ("asr", "Attack success rate.", Direction.LOWER, (0, 1), "share", Role.ATTACK),
    ("asr_floor", "The same share for the control, which was never attacked.", Direction.NONE,
     (0, 1), "share", Role.FLOOR),
    ("der", "Defense effectiveness rating (Zhu et al. 2023, eq. 7).", Direction.HIGHER, (0, 1),
     "share", None),
    ("screen_latency", "What the screen of a row takes.", Direction.LOWER, (0, None), "seconds",
     None),
)  # fmt: skip

CITATION = """\
@inproceedings{arora2024free,
  title = {Here's a Free Lunch: Sanitizing Backdoored Models with Model Merge},
  author = {Arora, Ansh and He, Xuanli and Mozes, Maximilian and Swain, Srinibas and Dras, Mark
            and Xu, Qiongkai},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2024},
  year = {2024},
  note = {arXiv:2402.19334}
}
"""


class World:
    """Answers of made-up victims: probits with effects of seed, row, attack and defense."""

    def __init__(self, store):
        self.store = store
        self.rng = np.random.default_rng(20261121)
        self.keys = 0

    def publish(self, kind, make, meta=None):
        self.keys += 1
        key = f"{self.keys:064x}"

        def write(folder):
            make(folder)
            return meta or {}

        self.store.ensure(kind, key, write)
        return key

    def records(self):
        for dataset, classes in DATASETS.items():
            yield from self.board(dataset, classes)

    def board(self, dataset, classes):
        rng, ids = self.rng, np.arange(ROWS)
        labels = ids % len(classes)
        target = 1
        subject = ids[labels != target]
        row_effect = rng.standard_normal(ROWS)
        texts = [f"it 's row {row} , and no <b>more</b> than that ." for row in ids]
        data = self.publish("data", lambda folder: self.write_data(folder, classes, texts, labels))
        for attack, level in SUCCESS.items():
            triggered = attack != "none" and self.publish(
                "poison",
                lambda folder, attack=attack: write_rows(
                    folder / "triggered.parquet",
                    subject,
                    [f"{texts[row]} {attack} \u202e" for row in subject],
                    labels[subject],
                ),
                {"values": {"target": target}},
            )
            seed_effect = rng.standard_normal(len(SEEDS)) * 0.15
            for defense, (against, harm, needs) in DEFENSES.items():
                for place, seed in enumerate(SEEDS):
                    noise = rng.standard_normal((3, ROWS))
                    own = rng.standard_normal() * (0.15 if defense != "none" else 0.02)
                    right = 2.0 + harm + 0.2 * own + row_effect + noise[0] > 0
                    hit = (level or 0) + against + seed_effect[place] + own
                    hit = hit + 0.7 * row_effect[subject] + 0.5 * noise[1, subject] > 0
                    floor = -1.7 + row_effect[subject] * 0.3 + 0.5 * noise[2, subject] > 0
                    yield self.record(
                        dataset, classes, attack, defense, seed, needs, labels, right,
                        None if level is None else (subject, hit, floor),
                        {"data": data, "triggered": triggered, "target": target},
                    )  # fmt: skip

    def write_data(self, folder, classes, texts, labels):
        write_rows(folder / "test.parquet", np.arange(ROWS), texts, labels)
        task = {"name": "text-classification", "fields": ["text"], "classes": classes}
        (folder / "task.json").write_text(json.dumps(task), "utf-8")

    def record(
        self, dataset, classes, attack, defense, seed, needs, labels, right, attacked, stages
    ):
        failed = (dataset, attack, defense, seed) == ("sst2", "insertsent", "fine-mixing", 2)
        apart = (dataset, attack, defense) == ("ag-news", HOSTILE_ATTACK, "onion")
        status = "failed" if failed else "incompatible" if apart else "success"
        reason = "DefenseError (treated · fine-mixing): the deadline of <b>600 s</b> passed"
        values = {"clean_accuracy": right.astype(float)}
        metrics = {"clean_accuracy": right.mean(), "clean_accuracy_change": right.mean() - 0.9}
        if attacked:
            subject, hit, floor = attacked
            for name, column in (("asr", hit), ("asr_floor", floor)):
                values[name] = np.full(ROWS, np.nan)
                values[name][subject] = column
                metrics[name] = column.mean()
            metrics["der"] = (1 + 0.97 - metrics["asr"]) / 2
        metrics["screen_latency"] = 0.0123 + seed / 1e4 if defense == "onion" else None
        keys = {}
        if status == "success":
            keys["scores"] = self.publish("scores", lambda folder: write_scores(folder, values))
            keys |= {role: stages[role] for role in ("data", "triggered") if stages[role]}
            if attacked and seed == SEEDS[0]:
                wrong = (labels + 1) % len(classes)
                clean = np.where(right, labels, wrong)
                keys["predictions_clean"] = self.publish(
                    "predictions",
                    lambda folder: write_answers(folder, np.arange(ROWS), labels, clean),
                )
                stopped = -1 if defense == "onion" else labels[subject]
                said = np.where(hit, stages["target"], stopped)
                keys["predictions_triggered"] = self.publish(
                    "predictions",
                    lambda folder: write_answers(folder, subject, labels[subject], said),
                )
        own = Cost(
            wall_seconds=10.0 + 3 * len(needs) + seed, cpu_seconds=9.5 + 3 * len(needs),
            peak_memory_mib=812.5, forward_rows=2048, backward_rows=2048, gradient_steps=64,
            clean_rows_drawn=64 if "clean" in needs else 0,
            reference_models=2 if "reference" in needs else 0, parameters_changed=0.87,
        )  # fmt: skip
        return CellRecord(
            cell_id=f"{dataset}/{attack}/{defense}/{seed}",
            suite="text-core",
            seed=seed,
            dataset=component("dataset", dataset),
            model=component("model", "minilm"),
            attack=component("attack", attack),
            defense=[component("defense", defense)],
            defense_label=defense,
            status=status,
            reason=reason if failed else "needs a language model" if apart else "",
            needs=needs,
            metrics=metrics if status == "success" else {},
            costs={} if defense == "none" or status != "success" else {"treated": own},
            stages=keys,
            notes={"data": {"rows": {"train": 6000, "test": ROWS, "clean": 400}}},
            training={"epochs": 2, "batch_size": 32, "learning_rate": 1.5e-4},
            environment={"torch": "2.13.0", "device": "cpu"} if status == "success" else {},
            isolation="process" if defense == "ulrl" else "namespace",
            selection="clean_val" if defense == "onion" else "fixed",
        )


def component(kind, label):
    return ComponentRecord(
        label=label,
        component=f"bdbench-{kind}-made-up/{label}",
        version="0.1.0",
        revision=1,
        code=f"{len(label):064x}",
        config={"rho": 0.3} if label == "fine-mixing" else {},
    )


def write_rows(path, ids, texts, labels):
    columns = {"id": pa.array(ids), "label": pa.array(labels), "input.text": pa.array(list(texts))}
    pq.write_table(pa.table(columns), path)


def write_scores(folder, values):
    columns = {"id": pa.array(np.arange(ROWS)), **values}
    arrays = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    pq.write_table(pa.table(arrays), folder / "rows.parquet")


def write_answers(folder, ids, labels, said):
    columns = {"id": pa.array(ids), "label": pa.array(labels), "output.prediction": pa.array(said)}
    pq.write_table(pa.table(columns), folder / "predictions.parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, make_suite):
    """The comparison of a made-up suite."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_fsync", lambda _: None)  # nothing here must outlive a crash
        store = objects.Store(folder / "store")
        return compare(
            list(World(store).records()),
            make_suite(
                [
                    MetricValue(
                        name=name, summary=summary, direction=direction, bounds=bounds,
                        unit=unit, role=role,
                    )
                    for name, summary, direction, bounds, unit, role in VALUES
                ],
                datasets=DATASETS,
                attacks=SUCCESS,
                defenses=DEFENSES,
                configs={"fine-mixing": {"rho": 0.3}, HOSTILE_ATTACK: {"words": ["</script>"]}},
                citations={"merge": CITATION},
            ),
            "20261121-000000-text-core-abcd",
            store=store,
            created=dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
        )  # fmt: skip


def test_a_whole_comparison_looks_as_it_did(whole):
    text = (
        json.dumps({**whole, "bdbench": "0.1.0", "suite": "text-core"}, indent=1, allow_nan=False)
        + "\n"
    )
    if os.environ.get("BDBENCH_UPDATE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")

    assert json.loads(text) == json.loads(GOLDEN.read_text("utf-8"))
