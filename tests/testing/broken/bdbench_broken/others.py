"""Metrics, models and data sets."""

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from bdbench.api import Dataset, Examples, Metric, RowValues, Splits, Task
from bdbench.toolkit.classifier import Classifier


class Accuracy(Metric):
    """The share of the clean rows that are right."""

    def right(self, evidence):
        return (evidence.clean.columns["prediction"] == evidence.clean.labels).astype(float)

    def measure(self, evidence):
        return {"share_right": float(self.right(evidence).mean())}

    def rows(self, evidence):
        return {"share_right": RowValues(evidence.clean.ids, self.right(evidence))}


class Talkative(Accuracy):
    def measure(self, evidence):
        return {**super().measure(evidence), "and_more": 1.0}


class Dividing(Accuracy):
    def measure(self, evidence):
        rejected = evidence.clean.rejected
        accepted = np.float64((~rejected).sum())
        with np.errstate(all="ignore"):
            return {"share_right": float(accepted / accepted)}

    def rows(self, evidence):
        return {}


class Percent(Accuracy):
    def right(self, evidence):
        return super().right(evidence) * 100


class FirstRow(Accuracy):
    def measure(self, evidence):
        return {"share_right": float(evidence.clean.columns["probabilities"][0, 0])}

    def rows(self, evidence):
        return {}


class OtherRows(Accuracy):
    def rows(self, evidence):
        return {"share_right": RowValues(evidence.clean.ids, 1 - 0.5 * self.right(evidence))}


class Halved(Accuracy):
    def right(self, evidence):
        return super().right(evidence) / 2


class Linear(Classifier):
    def prepare(self, task, folder, seeds):
        draw = torch.Generator().manual_seed(seeds.seed())
        weight = torch.randn(len(task.classes), 8, generator=draw)
        bias = torch.randn(len(task.classes), generator=draw)
        save_file({"weight": weight, "bias": bias}, folder / "model.safetensors")

    def load(self, checkpoint):
        state = load_file(checkpoint.folder / "model.safetensors")
        module = torch.nn.Linear(8, len(state["bias"]), device="meta").to_empty(device="cpu")
        module.load_state_dict(state)
        return module.eval()

    def save(self, module, like, folder):
        save_file(module.state_dict(), folder / "model.safetensors")

    def encode(self, examples, checkpoint):
        return list(examples.inputs["vector"])

    def collate(self, items):
        return torch.from_numpy(np.stack(items))

    def forward(self, module, batch):
        return module(batch)


class Unsure(Linear):
    def read(self, raw):
        return {**super().read(raw), "probabilities": raw.float().sigmoid()}


class Comparing(Linear):
    def forward(self, module, batch):
        return module(batch - batch.mean(dim=0))


class Forgetting(Linear):
    def save(self, module, like, folder):
        state = {name: torch.round(value) for name, value in module.state_dict().items()}
        save_file(state, folder / "model.safetensors")


class Pickling(Linear):
    def prepare(self, task, folder, seeds):
        super().prepare(task, folder, seeds)
        (folder / "optimizer.pkl").write_bytes(b"")


class Clouds(Dataset):
    task = Task("vector-classification", ("vector",), ("left", "right"))

    def part(self, seed, start):
        draw = np.random.default_rng(seed)
        vectors = [draw.normal(size=8).astype(np.float32) for _ in range(20)]
        return Examples(
            {"vector": vectors}, [row % 2 for row in range(20)], range(start, start + 20)
        )

    def load(self):
        return Splits(self.task, self.part(0, 0), self.part(1, 100), self.part(2, 200))


class Mislabelled(Clouds):
    def part(self, seed, start):
        rows = super().part(seed, start)
        return rows.with_labels([*rows.labels[:-1], 2])


class Overlapping(Clouds):
    def part(self, seed, start):
        return super().part(min(seed, 1), start)
