"""Axes are made for attacks that count; what lies beyond them is seen to do so."""

from __future__ import annotations

import re

import pytest

from bdbench.results.render.html.figures import interval_figures, tradeoff_figures
from bdbench.results.render.html.heatmap import heat_map
from bdbench.results.render.html.places import places

FAR = {"mean": -0.9, "low": -0.95, "high": -0.85}


@pytest.fixture
def drawn(comparison):
    """The figures of a place, by attack: the trade-off and the change of utility."""

    def drawn():
        (place,) = places(comparison)
        shown = interval_figures(comparison, place)
        changes = next(found for title, found in shown.items() if title.startswith("Change"))
        return {
            kind: {figure.caption: figure for figure in figures}
            for kind, figures in (
                ("tradeoff", tradeoff_figures(comparison, place)),
                ("changes", changes),
            )
        }

    return drawn


def change_of(comparison, attack, defense):
    (row,) = (
        row for row in comparison["rows"] if (row["attack"], row["defense"]) == (attack, defense)
    )
    return row["changes"]["utility"]


@pytest.mark.parametrize("kind", ["tradeoff", "changes"])
def test_an_attack_that_does_not_count_stretches_no_axis(comparison, drawn, kind):
    before = drawn()[kind]
    change_of(comparison, "lws", "merge").update(FAR)
    after = drawn()[kind]

    assert after["badnets"] == before["badnets"]
    assert not after["badnets"].cut
    assert after["lws"].cut
    assert "0.9" in after["lws"].drawing


@pytest.mark.parametrize("kind", ["tradeoff", "changes"])
def test_an_attack_that_counts_stretches_all_axes(comparison, drawn, kind):
    before = drawn()[kind]
    change_of(comparison, "sos", "merge").update(FAR)
    after = drawn()[kind]

    assert after["badnets"] != before["badnets"]
    assert not any(figure.cut for figure in after.values())


@pytest.mark.parametrize("kind", ["tradeoff", "changes"])
def test_a_point_beyond_an_axis_is_an_arrow_that_points_there(comparison, drawn, kind):
    whole = drawn()[kind]["lws"].drawing
    change_of(comparison, "lws", "merge").update(FAR)
    cut = drawn()[kind]["lws"].drawing

    assert cut.count("<circle") == whole.count("<circle") - 1
    (d,) = re.findall(r'<path d="([^"]*)Z" class="dot', cut)
    (tail, _), (tip, height), (other, _) = (
        tuple(map(float, pair.split(" "))) for pair in re.split("[ML]", d)[1:]
    )
    assert tip < tail == other
    assert height > 0


@pytest.mark.parametrize("kind", ["tradeoff", "changes"])
def test_an_interval_that_is_cut_ends_in_an_arrow(comparison, drawn, kind):
    class_ = {"tradeoff": "cross", "changes": "whisker"}[kind]

    def tips():
        figure = drawn()[kind]["lws"]
        paths = re.findall(rf'<path d="([^"]*)" class="{class_}"', figure.drawing)
        return sum(d.count("L") for d in paths) // 2, figure.cut

    assert tips() == (0, False)
    change_of(comparison, "lws", "merge")["low"] = -0.9
    assert tips() == (1, True)
    change_of(comparison, "lws", "merge")["high"] = 0.9
    assert tips() == (2, True)


def test_where_no_attack_counts_the_axes_hold_all_of_them(comparison, drawn):
    for row in comparison["rows"]:
        row["gate"] = {"passed": False, "reason": "it did not take"}
    change_of(comparison, "lws", "merge").update(FAR)

    assert not any(figure.cut for figures in drawn().values() for figure in figures.values())


def test_the_colours_too_are_made_for_attacks_that_count(comparison):
    for column in comparison["columns"]:
        column["bounds"] = [0, None]
    for row in comparison["rows"]:
        if row["attack"] == "lws":
            row["values"]["asr"].update(mean=50.0, low=40.0, high=60.0)
    (place,) = places(comparison)

    assert float(heat_map(comparison, place).high) < 2


def test_the_name_of_the_floor_lies_on_top_of_all_lines(drawn):
    drawing = drawn()["tradeoff"]["badnets"].drawing
    name = drawing.index("floor-name")

    assert max(drawing.rindex(f'class="{kind}"') for kind in ("front", "cross", "floor")) < name
