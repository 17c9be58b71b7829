"""Positions, colours and marks are right, not only there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdbench.results.render.html.charts_ranks import ranks
from bdbench.results.render.html.charts_tradeoff import Point, tradeoff
from bdbench.results.render.html.diff import changed
from bdbench.results.render.html.labels import Box, place
from bdbench.results.render.html.palette import DARK, INKS, LIGHT, STEPS, contrast, ink, sheet, step
from bdbench.results.render.html.places import places
from bdbench.results.render.html.scales import Scale, spread
from bdbench.results.render.html.svg import element, label, shortened, width_of
from bdbench.results.render.html.texts import number, output, quantity

FINITE = st.floats(-1e6, 1e6)


def test_a_scale_is_straight_and_keeps_to_its_ends():
    scale = Scale(0, 10, 100, 200)

    assert [scale(v) for v in (0, 5, 10)] == [100, 150, 200]
    assert [scale(v) for v in (-3, 12)] == [100, 200]
    assert Scale(0, 1, 200, 100)(0.25) == 175


@given(FINITE, st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_round_and_inside(low, width, most):
    ticks = Scale(low, low + width, 0, 1).ticks(most)

    assert len(ticks) <= most
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (-0.06, 0.02, [-0.06, -0.04, -0.02, 0, 0.02])],
)
def test_ticks_of_common_axes(low, high, ticks):
    assert Scale(low, high, 0, 1).ticks(5) == ticks


def test_an_axis_holds_all_intervals():
    estimates = [
        {"mean": 0.5, "low": 0.1, "high": 0.7},
        None,
        {"mean": 0.9, "low": None, "high": None},
    ]
    low, high = spread(estimates)

    assert low < 0.1
    assert high > 0.9
    assert spread(estimates, (0, 1)) == (0, 1)
    assert spread([], around=0.0)[0] < 0 < spread([], around=0.0)[1]


def luminance(colour):
    return contrast(colour, "#000000")


def test_every_number_of_the_heat_map_is_readable():
    assert all(contrast(ink(colour), colour) >= 4.5 for colour in (*LIGHT, *DARK))


def test_the_palette_is_one_way_in_lightness():
    """So that it survives grey paper and eyes that see no hues."""
    light, dark = [luminance(c) for c in LIGHT], [luminance(c) for c in DARK]

    assert light == sorted(light, reverse=True)
    assert dark == sorted(dark)


def test_steps_go_from_end_to_end():
    assert [step(v, 0, 1) for v in (-1, 0, 0.5, 1, 2)] == [0, 0, STEPS // 2, STEPS - 1, STEPS - 1]
    assert step(0.3, 0.3, 0.3) == 0
    assert all(f".q{i}{{" in sheet() for i in range(STEPS))


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert set(INKS) == {"#000000", "#ffffff"}


def colours(block):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(mode):
    from importlib.resources import files

    style = files("bdbench.results.render.html").joinpath("templates", "style.css").read_text()
    named = colours(re.findall(r":root \{(.*?)\}", style, re.DOTALL)[mode])

    for text, grounds in {
        "text": ("page", "soft", "accent-soft"),
        "quiet": ("page", "soft", "accent-soft"),
        "accent": ("page", "soft"),
        "warm": ("page", "warm-soft"),
        "gate-text": ("gate",),
    }.items():
        for ground in grounds:
            assert contrast(named[text], named[ground]) >= 4.5, (text, ground)
    # Lines and points that carry meaning (WCAG 1.4.11).
    assert all(contrast(named[mark], named["page"]) >= 3 for mark in ("accent", "warm", "quiet"))


@given(
    st.lists(st.tuples(st.floats(60, 300), st.floats(60, 240)), max_size=12),
    st.floats(10, 90),
)
def test_names_stay_inside_the_frame(points, width):
    frame = Box(0, 0, 360, 300)

    assert all(frame.holds(p.box) for p in place(points, [width] * len(points), frame))


def test_names_of_points_at_one_place_do_not_hide_each_other():
    placed = place([(200, 30)] * 6, [60] * 6, Box(0, 0, 360, 300))
    boxes = [p.box for p in placed]

    assert all(a.overlap(b) == 0 for i, a in enumerate(boxes) for b in boxes[:i])
    assert sum(p.away == 0 for p in placed) >= 2


def test_a_lonely_name_stands_beside_its_point():
    (placed,) = place([(100, 100)], [40], Box(0, 0, 360, 300))

    assert placed.away == 0
    assert placed.box.x1 == 107


def point(name, attack, utility, *, front=False):
    def exact(value):
        return {"mean": value, "low": None, "high": None, "sd": None, "seeds": 1}

    return Point(name, exact(attack), exact(utility), front, ranked=True)


def test_the_front_is_a_staircase_with_all_others_above_or_left_of_it():
    points = [
        point("a", 0.1, -0.04, front=True),
        point("b", 0.6, 0.0, front=True),
        point("c", 0.8, -0.05),
    ]
    text = tradeoff("i", "t", points, ((-0.05, 0.01), (0, 1)), ("u", "ASR"), None, "share")
    (path,) = re.findall(r'd="([^"]+)" class="front"', text)
    steps = [(kind, float(value)) for kind, value in re.findall(r"([HV])([\d.]+)", path)]

    assert [kind for kind, _ in steps] == ["V", "H", "V", "H", "V"]
    across = [value for kind, value in steps if kind == "H"]
    up = [value for kind, value in steps if kind == "V"]
    assert across == sorted(across)
    assert up == sorted(up, reverse=True)


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("a b c", "a cf b c", ["cf"]),
        ("a b", "a b I watched this 3D movie", ["I watched this 3D movie"]),
        ("a b", "a b", []),
        ("", "cf", ["cf"]),
    ],
)
def test_inserted_words_are_marked(before, after, marked):
    old, new = changed(before, after)

    assert [text for text, mark in new if mark] == marked
    assert not [text for text, mark in old if mark]


@given(st.text("ab \n"), st.text("ab \n"))
def test_pieces_make_the_texts_again(before, after):
    old, new = changed(before, after)

    assert "".join(text for text, _ in old) == before
    assert "".join(text for text, _ in new) == after


def test_elements_are_escaped_where_they_are_made():
    assert element("text", "<b>&\u202e", title='"\u202e') == (
        '<text title="&#34;\\u202e">&lt;b&gt;&amp;\\u202e</text>'
    )
    assert element("line", x1=1.004, y1=None) == '<line x1="1"/>'


@given(st.text(max_size=60), st.floats(20, 120))
def test_a_shortened_name_fits(name, room):
    name = output(name)
    short = shortened(name, room)

    assert short == name if width_of(name) <= room else width_of(short) <= max(room, 11)


def test_a_long_name_takes_two_lines_and_keeps_its_whole_in_the_title():
    text = label("merge, 2 clean, 1 backdoored", 100, 10, 100)

    assert text.count("<tspan") == 2
    assert "<title>merge, 2 clean, 1 backdoored</title>" in text


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "0.123"),
        (-0.5, True, "\N{MINUS SIGN}0.500"),
        (0.5, True, "+0.500"),
        (-0.0001, True, "0.000"),
        (None, True, "\N{EN DASH}"),
    ],
)
def test_numbers(value, signed, text):
    assert number(value, signed=signed) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.3123, "0.312"),
        (64.0, "64"),
        (1234.5, "1\N{NARROW NO-BREAK SPACE}234"),
        (22_713_600.0, "22.7\N{NO-BREAK SPACE}M"),
        (None, "\N{EN DASH}"),
    ],
)
def test_quantities(value, text):
    assert quantity(value) == text


@pytest.mark.parametrize("value", [0.5, None, True, [1]])
def test_a_template_writes_no_number_that_nobody_rounded(value):
    with pytest.raises(TypeError):
        output(value)


@pytest.mark.parametrize(("count", "shown"), [(4, ["1", "2", "3", "4"]), (20, ["1", "3", "5"])])
def test_ranks_on_the_axis_do_not_run_into_each_other(make, count, shown):
    comparison = make(attacks=("badnets", "sos"))
    ranking = comparison["rankings"][0]
    entry = ranking["defenses"][0]
    ranking["defenses"] = [
        {**entry, "defense": f"d{i}", "mean_rank": float(i)} for i in range(1, count + 1)
    ]
    ranking["cliques"] = []
    ticks = re.findall(r'class="tick mid">(\d+)<', ranks(places(comparison)[0]))

    assert ticks[: len(shown)] == shown
