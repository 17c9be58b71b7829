"""What a check is given: a component, its settings for the checks, and what it did so far."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from bdbench.api import (
    AttackSpec,
    BdbenchError,
    ComponentConfig,
    DatasetSpec,
    DefenseConfig,
    DefenseSpec,
    InputError,
    MetricSpec,
    ModelSpec,
    Needs,
    NotGrantedError,
    SeedStream,
)
from bdbench.host.catalog import Host
from bdbench.host.configure import configure
from bdbench.host.plugins import Component
from bdbench.testing.audit import trespasses
from bdbench.testing.check import CheckFailedError, CheckSkipped
from bdbench.testing.crashes import crashed
from bdbench.testing.rows import ROWS
from bdbench.testing.scene import Scene, shaken
from bdbench.testing.supplied import KnownValues, Supplied
from bdbench.testing.traces import Trace, trace
from bdbench.testing.worlds import World, shared_world

__all__ = ["Act", "Subject"]

ACTING = ("attack", "defense", "metric", "model", "dataset")
"""The kinds that can be let act in a tiny world."""


@dataclass(frozen=True, slots=True)
class Act:
    """One time that a component acted.

    Attributes:
        run: What it did: an `AttackRun`, `DefenseRun`, ...
        results: All that decides numbers, as arrays.
        drawn: The global generators that it drew from or seeded.
        changed: The names of what it was given and changed.
        trespasses: What it did that a box would not let it do, see `bdbench.testing.audit`.
    """

    run: Any
    results: Trace
    drawn: list[str]
    changed: list[str]
    trespasses: list[str]


class Subject:
    """A component under test. What it does is done once and kept.

    Args:
        component: The component.
        settings: What a suite would set; by default what its author supplies.
    """

    def __init__(self, component: Component, settings: Mapping[str, Any] | None = None) -> None:
        self.component = component
        self.spec = component.spec
        self.host = Host([])
        self.supplied = Supplied(component.spec)
        self._settings = settings
        self._held = tempfile.TemporaryDirectory(prefix="bdbench-check-")
        self._folders = 0
        self._acts: dict[str, Act | Exception] = {}
        self._resolved: dict[str, dict[str, Any]] = {}

    @property
    def name(self) -> str:
        """The component's full name."""
        return self.component.full_name

    def fail(
        self,
        what: str,
        *,
        found: str = "",
        expected: str = "",
        hint: str = "",
        crash: Exception | None = None,
    ) -> NoReturn:
        """Fails a check.

        Args:
            what: What is wrong.
            found: What was found.
            expected: What was expected.
            hint: What to do.
            crash: What the component raised, if that is what is wrong.

        Raises:
            CheckFailedError: Always.
        """
        failure = CheckFailedError(what, where=self.name, found=found, expected=expected, next=hint)
        raise failure from crash

    def crashed(self, error: Exception) -> str:
        """What the component raised, and where in its package."""
        return crashed(error, self.spec.target.partition(":")[0].partition(".")[0])

    def folder(self) -> Path:
        """A new empty folder, which lives as long as the subject."""
        self._folders += 1
        folder = Path(self._held.name) / f"{self._folders}"
        folder.mkdir()
        return folder

    # --- what it is ------------------------------------------------------------------------------

    @cached_property
    def cls(self) -> type[Any]:
        """The class.

        Raises:
            CheckSkipped: It cannot be imported.
        """
        with _told_by("target_resolves", BdbenchError):
            return self.host.load_class(self.component)

    @cached_property
    def model(self) -> type[Any] | None:
        """The class of its configuration, if it has one.

        Raises:
            CheckSkipped: It cannot be imported.
        """
        with _told_by("target_resolves", BdbenchError):
            return self.host.load_config(self.component)

    def settings_for(self, world: World) -> dict[str, Any]:
        """The settings for the checks in a world."""
        if world.task.name not in self._resolved:
            given = self.supplied.settings() if self._settings is None else self._settings
            found = given(world, self.folder()) if callable(given) else given
            self._resolved[world.task.name] = {
                key: str(value) if isinstance(value, Path) else value
                for key, value in (found or {}).items()
            }
        return self._resolved[world.task.name]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings for the checks, as a suite would write them."""
        given = self.supplied.settings() if self._settings is None else self._settings
        return self.settings_for(self.world) if callable(given) else dict(given or {})

    def why_not_configured(self) -> str:
        """Why there is no configuration without settings; empty where there is one."""
        if self.settings or self.model is None:
            return ""
        lacking = _lacking(self.model)
        return lacking and (
            f"it cannot be configured without settings ({lacking}): supply some under SETTINGS "
            f"in {self.supplied.place}"
        )

    @cached_property
    def config(self) -> ComponentConfig:
        """The validated settings.

        Raises:
            CheckSkipped: There are settings without defaults and nobody supplied them, or those
                that were supplied do not fit.
        """
        if self.why_not_configured():
            raise CheckSkipped("it is not configured: see config_round_trips")
        with _told_by("config_round_trips", BdbenchError):
            return self.configured({})

    def configured(self, changes: Mapping[str, Any], world: World | None = None) -> ComponentConfig:
        """The settings for the checks with some changed, validated.

        Args:
            changes: What to set otherwise.
            world: The world that they are for; by default the one that checks take place in.

        Raises:
            InputError: They do not fit.
        """
        settings = self.settings if world is None else self.settings_for(world)
        return configure(self.host, self.component, {**settings, **changes}, where=self.spec.name)

    def needs_of(self, config: ComponentConfig) -> Needs:
        """What a defense needs with some settings."""
        declared = self.spec.needs if isinstance(self.spec, DefenseSpec) else Needs()
        return config.needs(declared) if isinstance(config, DefenseConfig) else declared

    # --- what it does ----------------------------------------------------------------------------

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks that there are worlds for and that it says it works for."""
        known = [*self.supplied.worlds(), *ROWS]
        return [task for task in dict.fromkeys(known) if self.spec.works_for(task)]

    @property
    def world(self) -> World:
        """The world that checks take place in, the same for all.

        Raises:
            CheckSkipped: There is none for its tasks.
        """
        if not self.tasks:
            raise CheckSkipped(
                f"there is no tiny world for {', '.join(sorted(self.spec.tasks))}: supply one "
                f"under WORLDS in {self.supplied.place}"
            )
        # Whatever works for every task must work where there is no text; it is the fastest, too.
        general = self.spec.kind != "metric" and "vector-classification" in self.tasks
        return self.world_of("vector-classification" if general else self.tasks[0])

    def world_of(self, task: str) -> World:
        """The world of a task."""
        own = self.supplied.worlds().get(task)
        return shared_world(task) if own is None else _own_world(own)

    @cached_property
    def known(self) -> list[KnownValues]:
        """The cases with known values that a metric's author supplies."""
        return list(self.supplied.known_values())

    @property
    def first(self) -> Act:
        """What it did, with its settings for the checks.

        Raises:
            CheckSkipped: It did not get to the end.
        """
        return self.once("first", lambda: self.act(number=1))

    @property
    def second(self) -> Act:
        """What it did with the same seed, while everything else was different."""
        return self.once("second", lambda: self.act(number=2))

    def once(self, name: str, make: Callable[[], Act]) -> Act:
        """What it did under some circumstances, which are made only once.

        Raises:
            CheckSkipped: It did not get to the end.
        """
        if name not in self._acts:
            try:
                self._acts[name] = make()
            except CheckSkipped as skipped:
                self._acts[name] = skipped
            except (Exception, SystemExit) as error:  # noqa: BLE001 -- `why_not` tells of it
                kept = error if isinstance(error, Exception) else RuntimeError(repr(error))
                kept = kept.with_traceback(error.__traceback__)
                self._acts[name] = kept
        found = self._acts[name]
        if isinstance(found, CheckSkipped):
            raise found
        if isinstance(found, NotGrantedError) and isinstance(self.spec, DefenseSpec):
            raise CheckSkipped("it asks for what it does not declare: see works_blind")
        if isinstance(found, Exception):
            raise CheckSkipped("it did not get to the end: see runs_on_cpu")
        return found

    def why_not(self, name: str = "first") -> Exception | None:
        """What kept it from getting to the end."""
        found = self._acts.get(name)
        return found if isinstance(found, Exception) else None

    def act(
        self,
        *,
        number: int = 1,
        config: ComponentConfig | None = None,
        world: World | None = None,
        least: bool = False,
        clean: bool = False,
    ) -> Act:
        """Lets it do all that it declares.

        Args:
            number: What the global generators start from.
            config: Its settings; by default those for the checks.
            world: Where; by default the world that checks take place in.
            least: Give a defense no more than it needs.
            clean: Let nothing that a defense sees carry a trigger.
        """
        if config is None:
            config = self.config if world is None else self.configured({}, world)
        place = self.world if world is None else world
        scene = Scene(place, self.folder(), SeedStream(7, ("bdbench.testing", "act")))
        settings = scene.hand("the configuration", config)
        package = self.spec.target.partition(":")[0].partition(".")[0]
        with _one_thread(self.spec.kind), shaken(number) as drawn, trespasses(package) as beyond:
            run = self._run(settings, scene, least=least, clean=clean)
        return Act(run, _flat(run.results()), drawn, scene.changed(), beyond)

    def _run(self, config: ComponentConfig, scene: Scene, *, least: bool, clean: bool) -> Any:
        # Only where they are needed, so that what needs no torch imports none.
        from bdbench.testing import acts_attacks, acts_defenses, acts_others  # noqa: PLC0415

        spec = self.spec

        def build() -> Any:
            return self.cls(config)

        if isinstance(spec, AttackSpec):
            return acts_attacks.act(spec, build, scene)
        if isinstance(spec, DefenseSpec):
            needs = self.needs_of(config)
            return acts_defenses.act(spec, needs, build, scene, least=least, clean=clean)
        if isinstance(spec, MetricSpec):
            return acts_others.measure(spec, build, scene, self.known)
        try:
            if isinstance(spec, ModelSpec):
                return acts_others.prepare(build, scene)
            if isinstance(spec, DatasetSpec):
                return acts_others.load(build)
        except InputError as error:
            # Weights and data of others may well not be on this machine.
            raise CheckSkipped(str(error)) from error
        raise CheckSkipped(f"nothing is known of how a {spec.kind} acts")


def _flat(results: Mapping[str, Any]) -> Trace:
    return {
        name: array for key, value in results.items() for name, array in trace(key, value).items()
    }


def _lacking(model: type[Any]) -> str:
    """What keeps a configuration from being made of defaults; empty if nothing does."""
    try:
        model.model_validate_json("{}")
    except ValidationError as error:
        return "; ".join(
            ": ".join([*map(str, item["loc"]), item["msg"].removeprefix("Value error, ")])
            for item in error.errors()
        )
    except InputError as error:
        return error.what
    return ""


@contextmanager
def _told_by(check: str, *kinds: type[Exception]) -> Iterator[None]:
    """Leaves it to one check to tell of an error."""
    try:
        yield
    except kinds as error:
        raise CheckSkipped(f"see {check}") from error


@contextmanager
def _one_thread(kind: str) -> Iterator[None]:
    """One thread, as in the host: the number of threads changes the last digits of sums."""
    if kind not in {"attack", "defense", "model"}:
        yield
        return
    import torch  # noqa: PLC0415 -- only for what works on models

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_own_worlds: dict[Callable[[Path], World], World] = {}
_holders: list[tempfile.TemporaryDirectory[str]] = []


def _own_world(make: Callable[[Path], World]) -> World:
    if make not in _own_worlds:
        _holders.append(tempfile.TemporaryDirectory(prefix="bdbench-world-"))
        _own_worlds[make] = make(Path(_holders[-1].name))
    return _own_worlds[make]
