"""Keys: equal for what gives equal results, different for everything else, for ever."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from bdbench.api import ComponentConfig, InputError, SeedStream
from bdbench.suite import identity, resolve
from bdbench.suite.identity import component_identity, stage_key
from bdbench.suite.planning import build_plan

GOLDEN = json.loads(Path(__file__).with_name("golden_identity.json").read_text("utf-8"))


class Inner(ComponentConfig):
    file: Path | None = None


class Config(ComponentConfig):
    """The golden file has identities of this: leave its fields as they are."""

    rate: float = 0.1
    words: tuple[str, ...] = ()
    file: Path | None = None
    inner: Inner = Inner()
    files: tuple[Path, ...] = ()
    by_name: dict[str, Path] = Field(default={})
    unordered: frozenset[str] = frozenset()


def identity_of(config, *, name="d/c", revision=1, code="0"):
    return component_identity(name, revision, code, config, where="here")


# --- version 1 ----------------------------------------------------------------------------------


def cases(section):
    found = GOLDEN["v1"][section]
    assert found
    return pytest.mark.parametrize("case", found, ids=lambda case: case["what"])


@cases("stages")
def test_stage_keys_of_version_1_are_what_they_were(case, monkeypatch):
    monkeypatch.setitem(identity.STAGE_REVISIONS, case["kind"], case["revision"])
    seeds = SeedStream(case["seeds"][0], tuple(case["seeds"][1:])) if case["seeds"] else None

    assert stage_key(case["kind"], case["decides"], seeds) == case["key"]


@cases("components")
def test_component_identities_of_version_1_are_what_they_were(case, tmp_path):
    for name, text in case["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    values = {
        key: str(tmp_path / value) if key == "file" else value
        for key, value in case["config"].items()
    }
    config = Config.model_validate_json(json.dumps(values))

    found = component_identity(
        case["component"], case["revision"], case["code"], config, where="here"
    )
    assert found == case["identity"]


@cases("plans")
def test_the_keys_of_a_whole_plan_of_version_1_are_what_they_were(
    case, parse, toy_host, monkeypatch
):
    # Code and host revisions may change; how a plan makes keys of them may not.
    monkeypatch.setattr(resolve, "code_digest", lambda _: "0" * 64)
    for kind in identity.STAGE_REVISIONS:
        monkeypatch.setitem(identity.STAGE_REVISIONS, kind, 1)
    plan = build_plan(resolve.resolve(parse(json.dumps(case["suite"])), toy_host))

    found = {cell.label: cell.stages["scores"] for cell in plan.cells}
    assert found == case["scores"]


# --- stages -------------------------------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SPECS = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=12,
    ),
    min_size=1,
    max_size=6,
)


def shuffled(value, rng):
    """An equal value whose mappings list their keys in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(item, rng) for item in value]
    return value


def places(value, prefix=()):
    """The way to every leaf, empty lists and mappings included."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in children:
        if isinstance(item, dict | list) and item:
            yield from places(item, (*prefix, key))
        else:
            yield (*prefix, key)


def replaced(value, place, new):
    key, *rest = place
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = replaced(copy[key], rest, new) if rest else new
    return copy


def at(value, place):
    for key in place:
        value = value[key]
    return value


@settings(max_examples=80, deadline=None)
@given(SPECS, st.integers())
def test_the_order_of_keys_changes_nothing(spec, seed):
    assert stage_key("data", spec) == stage_key("data", shuffled(spec, random.Random(seed)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_changed_value_is_another_key(data):
    spec = data.draw(SPECS)
    place = data.draw(st.sampled_from(sorted(places(spec), key=repr)))
    old = at(spec, place)
    new = data.draw(LEAVES.filter(lambda new: repr(new) != repr(old)))

    assert stage_key("data", spec) != stage_key("data", replaced(spec, place, new))


@settings(max_examples=80, deadline=None)
@given(SPECS, NAMES, LEAVES)
def test_an_added_or_lost_field_is_another_key(spec, name, value):
    more = {**spec, name + "+": value}
    if name + "+" in spec:
        return
    assert stage_key("data", spec) != stage_key("data", more)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(0), st.lists(NAMES, max_size=3)),
    st.tuples(st.integers(0), st.lists(NAMES, max_size=3)),
)
def test_another_stream_of_randomness_is_another_key(one, other):
    keys = {stage_key("data", {}, SeedStream(root, tuple(path))) for root, path in (one, other)}
    assert (len(keys) == 1) == (one == other)


def test_kind_and_revision_are_part_of_the_key(monkeypatch):
    keys = {stage_key(kind, {}) for kind in identity.STAGE_REVISIONS}
    assert len(keys) == len(identity.STAGE_REVISIONS)

    monkeypatch.setitem(identity.STAGE_REVISIONS, "data", 99)
    assert stage_key("data", {}) not in keys


def test_no_seed_is_not_seed_zero():
    assert stage_key("data", {}) != stage_key("data", {}, SeedStream(0))


def test_what_is_not_finite_has_no_key():
    with pytest.raises(ValueError, match="not JSON compliant"):
        stage_key("data", {"rate": float("nan")})


# --- components ---------------------------------------------------------------------------------


def test_name_revision_code_and_settings_identify_a_component():
    identities = {
        identity_of(Config()),
        identity_of(Config(), name="d/c2"),
        identity_of(Config(), name="d2/c"),
        identity_of(Config(), revision=2),
        identity_of(Config(), code="1"),
        identity_of(Config(rate=0.2)),
        identity_of(Config(words=("cf",))),
    }
    assert len(identities) == 7
    assert identity_of(Config()) == identity_of(Config(rate=0.1))


def test_the_order_of_a_set_is_settled():
    words = [f"word-{number}" for number in range(20)]
    data = identity.config_identity(Config(unordered=frozenset(words)), where="here")

    assert data["unordered"] == sorted(words)


WAYS = {
    "field": lambda path: Config(file=path),
    "nested": lambda path: Config(inner=Inner(file=path)),
    "list": lambda path: Config(files=(path,)),
    "mapping": lambda path: Config(by_name={"a": path}),
    "mapping with a dot": lambda path: Config(by_name={"a.b": path}),
    "mapping with a number": lambda path: Config(by_name={"0": path}),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_file_counts_by_its_content_not_by_its_place(tmp_path, way):
    texts = {"one.csv": "rows", "elsewhere/two.csv": "rows", "three.csv": "rowz"}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")

    one, same, other = (identity_of(way(tmp_path / name)) for name in texts)

    assert one == same
    assert one != other


class Unordered(ComponentConfig):
    files: frozenset[Path] = frozenset()


def test_files_in_a_set_count_by_content_and_are_shown_to_the_component(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for path, text in ((one, "a"), (other, "b")):
        path.write_text(text, "utf-8")
    config = Unordered(files=frozenset({one, other}))
    before = identity_of(config)
    (tmp_path / "moved").write_text("b", "utf-8")
    assert identity_of(Unordered(files=frozenset({one, tmp_path / "moved"}))) == before
    assert set(config.paths().values()) == {one, other}

    other.write_text("changed", "utf-8")
    assert identity_of(config) != before


def test_a_file_that_changes_changes_the_identity(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a", "utf-8")
    before = identity_of(Config(file=path))
    path.write_text("b", "utf-8")
    # Another time of change, however coarse the file system's clock.
    os.utime(path, ns=(1, 1))

    assert identity_of(Config(file=path)) != before


def test_a_folder_counts_by_all_that_it_holds(tmp_path):
    for name, text in {"a/x": "1", "b/x": "1", "c/x": "1", "c/y": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")

    one, same, other = (identity_of(Config(file=tmp_path / name)) for name in "abc")

    assert one == same != other


def test_text_that_equals_the_digest_is_no_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("a", "utf-8")

    assert identity_of(Config(file=path)) != identity_of(Config(words=(str(path),)))


def test_a_missing_file_is_named_with_its_setting(tmp_path):
    with pytest.raises(InputError) as caught:
        identity_of(Config(inner=Inner(file=tmp_path / "gone")))

    assert caught.value.where == f"here.inner.file: {tmp_path / 'gone'}"
