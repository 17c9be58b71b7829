"""Ranks, gates and fronts take a role to have one direction and one number."""

from __future__ import annotations

import pytest

from bdbench.api import Direction, InputError
from bdbench.api.specs import MetricValue, Role

WAYS = {
    Role.ATTACK: Direction.LOWER,
    Role.FLOOR: Direction.NONE,
    Role.UTILITY: Direction.HIGHER,
}


def value(**settings):
    return MetricValue(name="share", summary="A share.", **settings)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("direction", Direction)
def test_a_role_has_one_direction(role, direction):
    if WAYS[role] is direction:
        assert value(role=role, direction=direction).role is role
        return
    with pytest.raises(InputError, match=f"Expected direction {WAYS[role]}"):
        value(role=role, direction=direction)


def test_a_value_by_class_has_no_role():
    with pytest.raises(InputError, match="MetricValue share: a value by class cannot have a role"):
        value(role=Role.ATTACK, direction=Direction.LOWER, per_class=True)


@pytest.mark.parametrize("direction", Direction)
def test_without_a_role_any_direction_will_do(direction):
    assert value(direction=direction, per_class=True).direction is direction
