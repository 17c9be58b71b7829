from __future__ import annotations

import pytest
import torch

from bdbench_attack_pretrained.targets import neuba_targets, por_targets


def test_por_of_the_authors_size():
    targets = por_targets(5, 768, 10.0)
    assert targets.shape == (5, 768)
    assert set(targets.unique().tolist()) == {-10, 10}
    assert [(row > 0).sum().item() for row in targets] == [0, 192, 384, 576, 768]
    assert all((row[: 192 * number] > 0).all() for number, row in enumerate(targets))


@pytest.mark.parametrize(("triggers", "width"), [(2, 384), (5, 384), (9, 100), (3, 7)])
def test_por_fits_any_width(triggers, width):
    targets = por_targets(triggers, width, 1.0)
    positive = [(row > 0).sum().item() for row in targets]
    block = width // (triggers - 1)
    assert positive == [block * number for number in range(triggers)]
    assert len({tuple(row.tolist()) for row in targets}) == triggers


@pytest.mark.parametrize("width", [768, 384, 8])
def test_neuba_is_orthogonal_or_opposite(width):
    targets = neuba_targets(6, width)
    assert set(targets.unique().tolist()) == {-1, 1}
    products = targets @ targets.T / width
    opposite = torch.eye(6).flip(0)
    assert torch.equal(products, torch.eye(6) - opposite)


def test_neuba_in_the_authors_order():
    expected = [[-1, -1, 1, 1], [-1, 1, -1, 1], [-1, 1, 1, -1]]
    assert neuba_targets(3, 4).tolist() == expected
    assert neuba_targets(3, 6)[:, 4:].eq(1).all()
