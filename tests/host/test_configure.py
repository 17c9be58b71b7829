"""Settings are validated strictly; a message names the key, the place and what was expected."""

from __future__ import annotations

import enum
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bdbench.api import ComponentConfig, InputError
from bdbench.host.configure import configure, validate


class Colour(enum.StrEnum):
    RED = "red"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    depth: int = Field(default=1, ge=0, description="How deep.")


class Settings(ComponentConfig):
    rate: float = Field(default=0.1, gt=0, lt=1, description="A share.")
    count: int = Field(default=3, description="A number.")
    wanted: bool = Field(default=True, description="A switch.")
    file: Path | None = Field(default=None, description="A file.")
    colour: Colour = Field(default=Colour.RED, description="A colour.")
    words: list[str] = Field(default=[], description="Words.")
    inner: Inner = Field(default=Inner(), description="Nested.")

    @field_validator("count")
    @classmethod
    def _odd(cls, count):
        if count % 2 == 0:
            raise ValueError("an odd number")
        return count


def check(**values):
    return validate(Settings, values, where="suite.yaml:3: defenses.0.x", hint="bdbench show x")


def refused(**values):
    with pytest.raises(InputError) as caught:
        check(**values)
    return caught.value


def test_defaults_are_filled_in():
    assert check() == Settings()


def test_an_unknown_key_is_refused_with_place_and_suggestion():
    error = refused(rates=0.2)

    assert str(error) == (
        "suite.yaml:3: defenses.0.x.rates: unknown key 'rates'. "
        "Expected one of rate, count, wanted, file, colour, words, inner. Next: write 'rate'."
    )


def test_a_key_that_is_misspelt_is_told_before_the_one_that_is_missing_for_it():
    class Needy(ComponentConfig):
        first: int
        models: list[str]

    with pytest.raises(InputError) as caught:
        validate(Needy, {"first": 1, "model": ["a"]}, where="suite.yaml", hint="bdbench show x")

    assert caught.value.where == "suite.yaml.model"
    assert caught.value.what == "unknown key 'model' (1 more after it)"
    assert caught.value.next == "write 'models'"


def test_an_unknown_key_that_resembles_nothing_leads_to_the_help():
    assert refused(zzz=1).next == "see `bdbench show x`"


def test_an_unknown_nested_key_is_refused_with_its_own_siblings():
    error = refused(inner={"dept": 2})

    assert error.where.endswith("x.inner.dept")
    assert (error.expected, error.next) == ("one of depth", "write 'depth'")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rate", "0.2", "number"),
        ("rate", 1.5, "less than 1"),
        ("count", "3", "a whole number"),
        ("count", 3.0, "a whole number"),
        ("count", 2, "an odd number"),
        ("wanted", "no", "true or false"),
        ("wanted", 1, "true or false"),
        ("file", 3, "text"),
        ("colour", "green", "'red'"),
        ("words", "cf", "a list, such as [a, b]"),
        ("words", {"cf": 1}, "a list, such as [a, b]"),
        ("inner", ["cf"], "keys with values"),
    ],
)
def test_a_value_of_another_type_or_range_is_refused(key, value, expected):
    error = refused(**{key: value})

    assert error.where == f"suite.yaml:3: defenses.0.x.{key}"
    assert error.found == repr(value)
    assert expected in error.expected
    assert "nput" not in error.expected
    assert error.next == "see `bdbench show x`"


@pytest.mark.parametrize(
    ("key", "value", "found", "expected"),
    [
        ("words", None, "nothing", "a list, such as [a, b]"),
        ("rate", None, "nothing", "a number"),
        ("rate", True, "true", "a number"),
        ("count", False, "false", "a whole number"),
    ],
)
def test_what_was_found_is_told_in_the_words_of_a_suite(key, value, found, expected):
    error = refused(**{key: value})

    assert (error.found, error.expected) == (found, expected)


def test_a_list_item_is_named_by_its_position():
    assert refused(words=["cf", 3]).where.endswith("x.words.1")


def test_text_is_fine_for_paths_and_enumerations_and_whole_numbers_for_floats():
    settings = check(file="data/train.csv", colour="red", rate=0.5)

    assert settings.file == Path("data/train.csv")
    assert settings.colour is Colour.RED

    class Wide(ComponentConfig):
        rate: float

    assert validate(Wide, {"rate": 1}, where="", hint="").rate == 1.0


def test_several_mistakes_are_counted():
    assert refused(rate=2, count=2).what.endswith("(1 more after it)")


def test_a_long_value_is_cut_in_the_message():
    assert len(refused(count="9" * 100_000).found) < 300


def test_nothing_can_be_set_where_a_component_has_no_settings(install, host_of, defense_hooks):
    install("fake-plugin", defense_hooks("fake"))
    host = host_of("fake-plugin")
    component = host.find("defense", "fake")

    assert configure(host, component, {}, where="here").model_dump() == {}
    with pytest.raises(InputError) as caught:
        configure(host, component, {"rho": 0.3}, where="here")
    assert caught.value.where == "here.rho"
    assert caught.value.expected == "no settings at all"


def test_settings_go_through_the_components_own_model(install, host_of, defense_hooks):
    config = """
from bdbench.api import ComponentConfig

class Config(ComponentConfig):
    rho: float = 0.3
"""
    hooks = defense_hooks("fake", extra="config='fake_plugin.config:Config'")
    install("fake-plugin", hooks, config=config)
    host = host_of("fake-plugin")
    component = host.find("defense", "fake")

    assert configure(host, component, {"rho": 0.5}, where="here").rho == 0.5
    with pytest.raises(InputError) as caught:
        configure(host, component, {"rh": 0.5}, where="here")
    assert caught.value.next == "write 'rho'"


class Refusing(ComponentConfig):
    about: str = Field(default="", description="What the refusal is about.")

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, data):
        raise InputError("no", where=data["about"], next="do not")


@pytest.mark.parametrize(
    ("where", "about", "told"),
    [("s.yaml:3", "hub: x", "s.yaml:3: hub: x"), ("s.yaml:3", "", "s.yaml:3"), ("", "a", "a")],
)
def test_what_a_validator_refuses_is_told_with_its_place(where, about, told):
    with pytest.raises(InputError) as caught:
        validate(Refusing, {"about": about}, where=where, hint="x")
    assert (caught.value.where, caught.value.next) == (told, "do not")
