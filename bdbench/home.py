"""Where everything that bdbench writes lives: one folder, with a named place for each kind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bdbench.api.errors import InputError

__all__ = ["HOME_VARIABLE", "Home", "expanded", "resolve_home"]

HOME_VARIABLE = "BDBENCH_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds stages, records, runs and what MLflow shows.

    Nothing is created by naming it; whoever writes makes the folder.

    Attributes:
        path: The folder, absolute.
    """

    path: Path

    @property
    def store(self) -> Path:
        """What stages produced, by content."""
        return self.path / "store"

    @property
    def runs(self) -> Path:
        """One folder a run: its plan, its comparison, its leaderboard."""
        return self.path / "runs"

    @property
    def spool(self) -> Path:
        """Results on their way to MLflow, and marks of those that arrived."""
        return self.path / "spool"

    @property
    def logs(self) -> Path:
        """What workers printed, one file a stage."""
        return self.path / "logs"

    @property
    def mlflow(self) -> Path:
        """The MLflow database and its artifacts."""
        return self.path / "mlflow"


def expanded(path: Path, where: str) -> Path:
    """A path with ``~`` and ``~user`` filled in.

    Args:
        path: As the user gave it.
        where: The option or key that gave it, for errors.

    Raises:
        InputError: There is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InputError(
            "a path starts at the home of a user who is not known here",
            where=where,
            found=str(path),
            expected="~ for your own home, ~user for that of a user of this machine",
            next="write the whole path, or ./~name for a folder of that name",
        ) from error


def resolve_home(value: str | os.PathLike[str] | None = None) -> Home:
    """The home that a command works in.

    Args:
        value: What the user gave as ``--home``, if anything. Otherwise the environment
            variable `BDBENCH_HOME` counts, and without it the user's data folder.

    Raises:
        InputError: If the place is taken by something that is not a folder.
    """
    variable = os.environ.get(HOME_VARIABLE, "")
    if value is not None:
        path, origin = Path(value), "--home"
    elif variable:
        path, origin = Path(variable), HOME_VARIABLE
    else:
        path, origin = platformdirs.user_data_path("bdbench", appauthor=False), "default home"
    path = expanded(path, origin).absolute()
    if path.exists() and not path.is_dir():
        raise InputError(
            "the home is not a folder",
            where=origin,
            found=str(path),
            expected="a folder, or a name that is still free",
            next="give another place with --home",
        )
    return Home(path)
