"""Packages that ``bdbench new`` wrote, from their wheels to a row on the leaderboard."""

# ruff: noqa: T201 -- a script: what it prints is its log
from __future__ import annotations

import csv
import hashlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from place import Place

NAME = "rare-words"
KINDS = ("attack", "defense", "metric", "model", "dataset")
LISTED = f"bdbench-attack-{NAME}"

SUITE = f"""\
name: stranger
seeds: [0, 1, 2]
datasets: [{NAME}]
models: [{NAME}]
attacks:
  - {NAME}: {{target: positive, poison_rate: 0.1}}
defenses: [none, DEFENSE]
defender: {{clean_rows: 64}}
metrics: [classification, {NAME}]
training: {{epochs: 10, learning_rate: 1e-2}}
"""


def distribution(kind: str) -> str:
    return f"bdbench-{kind}-{NAME}"


def wheel_of(place: Place, kind: str) -> Path:
    (wheel,) = place.wheels.glob(f"bdbench_{kind}_rare_words-*.whl")
    return wheel


def suite(place: Place, defense: str = NAME) -> str:
    """The file of a suite in which everything but one metric is a stranger's."""
    path = place.work / "suite.yaml"
    path.write_text(SUITE.replace("DEFENSE", defense), "utf-8")
    return str(path)


def packages_are_written_and_built(place: Place) -> None:
    for kind in KINDS:
        place.write(kind, NAME)
    found = sorted(path.name for path in place.wheels.iterdir())
    assert len(found) == len(KINDS), found


def pin(place: Place, wheel: Path) -> None:
    """A registry that lists a plugin, with the pin that the documented command prints."""
    name = wheel.name.partition("-")[0].replace("_", "-")
    _, kind, component = name.split("-", 2)
    made = place.call(place.python, "-m", "bdbench.host.core_entries", "--pin", wheel).out
    entry = {
        "name": f"{kind}-{component}",
        "distribution": name,
        "tier": "community",
        "summary": "A stranger's.",
        "provides": [f"{kind}:{component}"],
        "license": "Apache-2.0",
        "api": ">=1.0,<2",
        **yaml.safe_load(made),
    }
    assert entry["pin"]["sha256"] == [hashlib.sha256(wheel.read_bytes()).hexdigest()]
    place.registry.write_text(yaml.safe_dump({"plugins": [entry]}), "utf-8")


def they_are_installed(place: Place) -> None:
    """One by its name in a registry, one unlisted by name and digest, the others as files."""
    pin(place, wheel_of(place, "attack"))
    refused = place.install(distribution("defense"), code=4)
    assert "the registry does not list this plugin" in refused.err
    place.install(f"attack-{NAME}")
    digest = hashlib.sha256(wheel_of(place, "defense").read_bytes()).hexdigest()
    named = f"{distribution('defense')}==0.1.0"
    refused = place.install(named, "--unlisted", "--sha256", "0" * 64, code=4)
    assert digest in refused.err
    assert "0" * 64 in refused.err
    place.install(named, "--unlisted", "--sha256", digest)
    for kind in KINDS[2:]:
        place.install("-e", wheel_of(place, kind))


def nothing_comes_from_this_repository(place: Place) -> None:
    names = ["bdbench", *(f"bdbench_{kind}_rare_words" for kind in KINDS)]
    code = (
        "import importlib.util, sys\n"
        f"print(*(importlib.util.find_spec(name).origin for name in {names}), sep='\\n')\n"
        "print('--', *sys.path, sep='\\n')"
    )
    found = place.call(place.python, "-c", code).out
    origins, _, path = found.partition("--\n")
    for origin in origins.split():
        assert origin.startswith(str(place.site)), origin
    for folder in path.splitlines():
        # This environment may itself lie in the repository's folder, under .tox.
        assert not folder.startswith(str(place.root)) or folder.startswith(str(place.environment))


def they_are_listed(place: Place) -> None:
    rows = place.plugins()
    for kind in KINDS:
        row = rows[distribution(kind)]
        assert (row["state"], row["reason"]) == ("ok", ""), row
        assert row["provides"] == [{"kind": kind, "name": NAME}], row
        assert row["files"] == ("pinned" if kind == "attack" else "intact"), row
    text = place.bdbench("plugins").out
    assert re.search(rf"^ok +{LISTED} +0\.1\.0 +attack-{NAME}: {NAME}$", text, re.MULTILINE), text
    assert "\n  installed: 0.1.0, files: pinned\n" in place.bdbench("plugins", "info", NAME).out


def they_pass_the_checks(place: Place) -> None:
    for kind in KINDS:
        (report,) = place.bdbench("check", distribution(kind), "--json").json()
        outcomes = [check["outcome"] for check in report["checks"]]
        assert report["ok"], report
        assert outcomes.count("passed") > len(outcomes) / 2, report
        print(f"    {kind}: {len(outcomes)} checks, {outcomes.count('passed')} passed")


def they_run_and_have_their_rows(place: Place) -> None:
    """Two rows of the attack, undefended and defended, with values of the metric."""
    place.bdbench("run", suite(place), "--no-plugin", "mlflow")
    found = place.bdbench("leaderboard", "stranger", "--csv").out
    rows = {(row["attack"], row["defense"]): row for row in csv.DictReader(io.StringIO(found))}
    assert set(rows) == {
        (attack, defense) for attack in ("none", NAME) for defense in ("none", NAME)
    }
    for defense in ("none", NAME):
        row = rows[NAME, defense]
        assert (row["dataset"], row["model"], row["failed"]) == (NAME, NAME, "0"), row
        assert row["gate_passed"] == "1", f"the attack did not take: {row}"
        assert 0 <= float(row["rare_words_share"]) <= 1, row
    shown = place.bdbench("leaderboard", "stranger").out
    print(shown)
    table = shown.partition("\nranking\n")[0]
    for defense in ("none", NAME):
        # An attack's name stands in the first of its rows.
        assert re.search(rf"^\S+ +({NAME} +)?{defense} +[\d.]+ \[", table, re.MULTILINE), defense


STEPS = (
    packages_are_written_and_built,
    they_are_installed,
    nothing_comes_from_this_repository,
    they_are_listed,
    they_pass_the_checks,
    they_run_and_have_their_rows,
)
