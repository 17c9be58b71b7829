"""Plugins that fail in every way, and files that are not what they were: told, and no harm done."""

# ruff: noqa: T201 -- a script: what it prints is its log
from __future__ import annotations

import hashlib
import io
import runpy
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from good import KINDS, LISTED, NAME, distribution, pin, suite
from place import Place, change, writes_a_trace

WATCHED = "bdbench-defense-watched"
FAKES = 200

MODULES = """
import sys
from bdbench.cli.main import run
try:
    run(["plugins", "--json"])
finally:
    print(*sys.modules, file=sys.stderr)
"""
"""``bdbench plugins --json``, and then every module that it has imported, on stderr."""

HARM: dict[str, tuple[Callable[[str], str], str, str]] = {
    "fails": (
        lambda hooks: f"{hooks}\nimport a_module_that_nobody_has\n",
        "broken",
        "ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    ),
    "exits": (lambda hooks: f"{hooks}\nimport sys\nsys.exit(3)\n", "broken", "SystemExit: 3"),
    "misspells": (
        lambda hooks: change(hooks, "bdbench_register_defenses", "bdbench_register_defences"),
        "broken",
        "unknown hook 'bdbench_register_defences'",
    ),
    "asks": (
        lambda hooks: change(hooks, "register_defenses()", "register_defenses(catalog)"),
        "broken",
        "{'catalog'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "claims": (
        lambda hooks: change(hooks, 'name="claims"', f'name="{NAME}"'),
        "conflict",
        f"claimed by bdbench-defense-claims/{NAME}, bdbench-defense-{NAME}/{NAME}",
    ),
    "too-new": (
        lambda hooks: change(hooks, 'api="1.', 'api="1.9'),
        "incompatible",
        "too-new was written for API 1.9",
    ),
}
"""By name: what is wrong with its hooks.py, how it ends, and what its row says."""


def the_others_work_and_each_row_tells_why(place: Place) -> None:
    for name, (broken, _, _) in HARM.items():
        place.install("-e", place.write("defense", name, broken))
    rows = place.plugins()
    for name, (_, state, reason) in HARM.items():
        row = rows[f"bdbench-defense-{name}"]
        assert row["state"] == state, row
        assert reason in row["reason"], row
        print(f"    {name}: {row['state']}: {row['reason']}")
    # The one whose name is claimed too, the other kinds, and the metric that ranks.
    others = [row["state"] for name, row in rows.items() if name[16:] not in HARM]
    assert sorted(others) == ["conflict", *["ok"] * len(KINDS)], rows


def a_run_still_succeeds(place: Place) -> None:
    full = f"{distribution('defense')}/{NAME}"
    refused = place.bdbench("run", suite(place), "--seeds", "3", "--no-plugin", "mlflow", code=4)
    assert f"several plugins bring a defense named '{NAME}'" in refused.err
    assert full in refused.err
    asked = ("run", suite(place, full), "--seeds", "3", "--no-plugin", "mlflow", "--json")
    done = place.bdbench(*asked)
    assert {tuple(row["status"]) for row in done.json()["rows"]} == {("success",)}
    for name, (_, state, _) in HARM.items():
        assert f"warning: plugin bdbench-defense-{name}:defense-{name} is {state}: " in done.err
    for name in HARM:
        place.bdbench("plugins", "uninstall", f"bdbench-defense-{name}", "--yes")
    assert not any(f"bdbench-defense-{name}" in place.plugins() for name in HARM)


def what_is_disabled_is_not_imported(place: Place) -> None:
    place.install("-e", place.write("defense", "watched", writes_a_trace))
    assert place.imported() == set(), "to install it is not to import it"
    place.bdbench("plugins", "verify")
    assert place.imported() == set()
    assert place.plugins()[WATCHED]["state"] == "ok"
    assert place.imported() == {"bdbench_defense_watched"}
    place.bdbench("list", "--no-plugin", WATCHED)
    assert place.imported() == set()
    assert place.plugins(BDBENCH_DISABLE_PLUGINS=WATCHED)[WATCHED]["state"] == "disabled"
    assert place.imported() == set()


def a_file_changed_after_installation_is_told(place: Place) -> None:
    assert place.plugins()[LISTED]["files"] == "pinned"
    file = place.site / "bdbench_attack_rare_words" / "attack.py"
    good = file.read_bytes()
    file.write_bytes(good + b"#")
    digests = [hashlib.sha256(data).hexdigest() for data in (good, good + b"#")]
    said = "RECORD has sha256 {}, found sha256 {}".format(*digests)
    assert place.plugins()[LISTED]["files"] == "changed"
    shown = place.bdbench("plugins").out
    assert "! its files are not those that were installed: " in shown
    assert said in shown
    assert said in place.bdbench("plugins", "verify", code=4).out
    # Installing it again mends it.
    place.install(LISTED)
    assert place.plugins()[LISTED]["files"] == "pinned"


def a_wheel_with_one_changed_byte_is_refused(place: Place) -> None:
    """A byte anywhere in the file, or in a module of an archive that is whole."""
    place.bdbench("plugins", "uninstall", WATCHED, "--yes")
    place.imported()
    (wheel,) = place.wheels.glob("bdbench_defense_watched-*.whl")
    pin(place, wheel)
    good = wheel.read_bytes()
    expected = hashlib.sha256(good).hexdigest()
    for place_of_it, bad in changed_wheels(wheel):
        wheel.write_bytes(bad)
        found = hashlib.sha256(bad).hexdigest()
        for asked in (["-e", wheel], ["defense-watched"]):
            refused = place.install(*asked, code=4).err
            told = refused[refused.index("bdbench: ") :]
            assert f"Found sha256 {found}" in told or f"sha256 of the wheel {found}" in told, told
            assert expected in told, told
        assert not list(place.site.glob("bdbench_defense_watched*")), place_of_it
        print(f"    one byte of {place_of_it}: {told.strip()}")
    assert place.imported() == set()
    wheel.write_bytes(good)
    place.install("defense-watched")
    assert place.plugins()[WATCHED]["files"] == "pinned"


def changed_wheels(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """A wheel with one byte changed, by where it is."""
    good = wheel.read_bytes()
    hooks = "bdbench_defense_watched/hooks.py"
    with zipfile.ZipFile(wheel) as archive:
        contents = {item: archive.read(item) for item in archive.infolist()}
        begin = archive.getinfo(hooks).header_offset
    data = begin + 30 + len(hooks)
    # The archive stays whole; its data are damaged; its directory leads to a wrong place.
    places = {"a time": begin + 10, "the data": data + 9, "the list": good.index(b"PK\1\2") + 42}
    for where, index in places.items():
        yield where, good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :]
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, content in contents.items():
            one_more = content[:-1] + b" " if item.filename == hooks else content
            archive.writestr(item, one_more)
    yield "hooks.py", whole.getvalue()


def two_hundred_are_listed(place: Place) -> None:
    """As quickly as the benchmark tells; without torch, and without what is disabled."""
    script = place.root / "benchmarks" / "plugins.py"
    print(place.call(place.python, script, "--rounds", "3").out)
    fakes = place.work / "fakes"
    write = runpy.run_path(str(script))["install"]
    for number in range(FAKES):
        write(fakes, number)
    disabled = ("bdbench-fake-7", "bdbench-fake-150")
    variables = {"PYTHONPATH": str(fakes), "BDBENCH_DISABLE_PLUGINS": ",".join(disabled)}
    done = place.call(place.python, "-c", MODULES, **variables)
    rows = {row["distribution"]: row for row in done.json()}
    states = {f"bdbench-fake-{number}": "ok" for number in range(FAKES)}
    states |= dict.fromkeys(disabled, "disabled")
    assert states.items() <= {name: row["state"] for name, row in rows.items()}.items()
    imported = set(done.err.split())
    modules = {f"bdbench_fake_{number}.hooks" for number in range(FAKES)}
    assert modules - imported == {"bdbench_fake_7.hooks", "bdbench_fake_150.hooks"}
    assert not imported & {"torch", "numpy", "transformers", "datasets", "mlflow"}


STEPS = (
    the_others_work_and_each_row_tells_why,
    a_run_still_succeeds,
    what_is_disabled_is_not_imported,
    a_file_changed_after_installation_is_told,
    a_wheel_with_one_changed_byte_is_refused,
    two_hundred_are_listed,
)
