"""Predictions of one model for the same rows: bdbench against `transformers.Trainer.predict`.

Both get one thread, and texts that are not yet tokenized. The Trainer is at its defaults: fp32,
batches of 8 in the order of the rows, padded by `DataCollatorWithPadding`.

    python benchmarks/evaluation.py FILE [ROUNDS]

FILE is a parquet file with columns `text` and `label`.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
MAX_LENGTH = 128


def main(file: str, rounds: int) -> None:
    import datasets
    import numpy as np
    import pyarrow.parquet as pq
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from bdbench.api import Checkpoint, Examples, SeedStream, Task
    from bdbench.engine.meter import Meter
    from bdbench.engine.numerics import settle
    from bdbench.engine.torch_engine import TorchEngine
    from bdbench.host.catalog import Host
    from bdbench.host.configure import configure

    settle()
    datasets.disable_progress_bars()
    table = pq.read_table(file)
    texts, labels = table.column("text").to_pylist(), table.column("label").to_pylist()
    task = Task("text-classification", ("text",), tuple(map(str, sorted(set(labels)))))
    host = Host()
    component = host.find("model", "minilm")
    config = configure(host, component, {"max_length": MAX_LENGTH}, where="model")
    model = host.load_class(component)(config)
    folder = Path(tempfile.mkdtemp())
    model.prepare(task, folder, SeedStream(0))
    rows = Examples({"text": texts}, labels, list(range(len(texts))))

    def ours(precision: str) -> tuple[float, np.ndarray]:
        began = time.process_time()
        engine, checkpoint = TorchEngine(model, precision, Meter()), Checkpoint(folder)
        outputs = engine.predict(engine.load(checkpoint), checkpoint, rows)
        return time.process_time() - began, outputs["prediction"]

    def theirs() -> tuple[float, np.ndarray]:
        began = time.process_time()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        data = datasets.Dataset.from_dict({"text": texts, "label": labels}).map(
            lambda batch: tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH),
            batched=True,
            remove_columns=["text"],
        )
        with tempfile.TemporaryDirectory() as out:
            trainer = Trainer(
                AutoModelForSequenceClassification.from_pretrained(folder),
                TrainingArguments(out, report_to=[], disable_tqdm=True, use_cpu=True),
                data_collator=DataCollatorWithPadding(tokenizer),
            )
            answer = np.asarray(trainer.predict(data).predictions).argmax(-1)
        return time.process_time() - began, answer

    torch.set_num_threads(1)
    calls = {"bf16": lambda: ours("bf16"), "fp32": lambda: ours("fp32"), "Trainer": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    answers = {}
    for _ in range(rounds):
        for name, call in calls.items():
            spent, answers[name] = call()
            seconds[name].append(spent)
    for name, times in seconds.items():
        same = float((answers[name] == answers["Trainer"]).mean())
        ratio = statistics.median(
            other / one for one, other in zip(times, seconds["Trainer"], strict=True)
        )
        print(
            f"{name:<8} {len(texts)} rows, CPU-seconds median {statistics.median(times):.1f} "
            f"({min(times):.1f} to {max(times):.1f}), {ratio:.2f}x the rate of Trainer.predict, "
            f"{same:.1%} of labels as the Trainer's"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
