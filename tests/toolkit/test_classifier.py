from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bdbench.api import Checkpoint, Examples
from bdbench.toolkit.classifier import Classifier


class Points(Classifier):
    """The least that a family needs: two numbers in, three logits out, no text anywhere."""

    def prepare(self, task, folder, seeds):
        raise AssertionError

    def load(self, checkpoint):
        return torch.nn.Linear(2, 3)

    def save(self, module, like, folder):
        raise AssertionError

    def encode(self, examples, checkpoint):
        return list(examples.inputs["point"])

    def collate(self, items):
        return torch.from_numpy(np.stack(items))

    def forward(self, module, batch):
        return module(batch)


def test_the_loss_is_the_cross_entropy_of_each_row():
    logits = torch.tensor([[0.0, 0.0], [2.0, 1.0]])
    loss = Points(None).loss(logits, [0, 1])
    assert loss.tolist() == pytest.approx([math.log(2), math.log(1 + math.e)])


def test_half_precision_logits_are_read_in_fp32():
    logits = torch.tensor([[5.0, -5.0, 0.0]], dtype=torch.bfloat16)
    loss = Points(None).loss(logits, [0])
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-10) + math.exp(-5)), rel=1e-5)
    assert Points(None).read(logits)["probabilities"].dtype == torch.float32


def test_labels_may_be_numpy_numbers():
    logits = torch.zeros(2, 2)
    assert Points(None).loss(logits, np.array([0, 1], dtype=np.int8)).shape == (2,)


@given(
    st.integers(1, 5).flatmap(
        lambda classes: st.lists(
            st.lists(st.floats(-50, 50, width=32), min_size=classes, max_size=classes),
            min_size=1,
            max_size=6,
        )
    )
)
def test_probabilities_sum_to_one_and_agree_with_the_prediction(rows):
    read = Points(None).read(torch.tensor(rows))
    probabilities = read["probabilities"].double()
    assert torch.allclose(probabilities.sum(dim=-1), torch.ones(len(rows), dtype=torch.float64))
    chosen = probabilities.gather(1, read["prediction"][:, None])[:, 0]
    assert torch.equal(chosen, probabilities.max(dim=-1).values)
    assert read["prediction"].tolist() == [row.index(max(row)) for row in rows]


def test_a_family_without_text_learns():
    torch.manual_seed(0)
    family = Points(None)
    points = torch.randn(60, 2).numpy()
    labels = [int(point.argmax()) for point in points]
    rows = Examples({"point": points}, labels, list(range(60)))
    module = family.load(Checkpoint(None))
    batch = family.collate(family.encode(rows, Checkpoint(None)))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    before = family.loss(family.forward(module, batch), rows.labels).mean()
    for _ in range(50):
        optimizer.zero_grad()
        family.loss(family.forward(module, batch), rows.labels).mean().backward()
        optimizer.step()
    raw = family.forward(module, batch)
    assert family.loss(raw, rows.labels).mean() < before / 2
    assert (family.read(raw)["prediction"] == torch.tensor(labels)).float().mean() > 0.9
