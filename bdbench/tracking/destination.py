"""Where results are published: the home's own database, or the server that the user names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bdbench.home import Home

__all__ = ["OWN", "Destination", "own_database", "resolve_destination"]

OWN = "home"


@dataclass(frozen=True, slots=True)
class Destination:
    """An MLflow tracking store.

    Attributes:
        uri: Its tracking URI. It may hold a password: never write it down.
        name: A short name that is safe as a file name, the same for the same store; `OWN` for
            the home's own database.
        shown: The URI without user name, password and query, for records and messages.
    """

    uri: str
    name: str
    shown: str

    @property
    def own(self) -> bool:
        """Whether it is the home's own database."""
        return self.name == OWN


def own_database(home: Home) -> Path:
    """The file of the home's own database."""
    return home.mlflow / "mlflow.db"


def resolve_destination(home: Home, environment: Mapping[str, str] = os.environ) -> Destination:
    """Where the results of a home go: to `MLFLOW_TRACKING_URI` if it is set, else its own."""
    uri = environment.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        uri = f"sqlite:///{own_database(home)}"
        return Destination(uri=uri, name=OWN, shown=uri)
    shown = _without_secrets(uri)
    name = hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Destination(uri=uri, name=name, shown=shown)


def _without_secrets(uri: str) -> str:
    parts = urlsplit(uri)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", "")) if parts.netloc else uri
