"""What data sets and models of the Hugging Face Hub have in common: pinning, and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from bdbench.api import InputError

__all__ = ["hub_access", "require_revision"]

Kind = Literal["data set", "model"]

_BRANCHES = frozenset({"main", "master", "head"})
# Stand in no commit and no tag: mostly of a placeholder that was copied, as `<commit>`.
_IN_NO_REVISION = re.compile(r"[\s<>~^:?*\[\\]")
_LOCAL = {"data set": "`files` and its paths", "model": "`folder: {path: ...}`"}


def require_revision(data: Any, *, kind: Kind) -> Any:
    """The raw settings as they are, if they name a revision that stays what it is.

    Raises:
        InputError: There is none, or it is a branch or cannot be a revision.
    """
    if not isinstance(data, dict):
        return data
    revision = data.get("revision")
    text = str(revision or "")
    if (
        text
        and text.lower() not in _BRANCHES
        and not text.startswith("refs/")
        and not _IN_NO_REVISION.search(text)
    ):
        return data
    name = data.get("name", "<name>")
    folder = "datasets/" if kind == "data set" else ""
    raise InputError(
        "a source on the Hugging Face Hub needs a fixed revision",
        where=name,
        found=f"revision: {revision}" if revision else "no revision",
        expected="a commit or a tag, since what a branch holds can change",
        next="add the line `revision: <40 hex digits>`, with a commit that is listed at"
        f" https://huggingface.co/{folder}{name}/commits/main, or write it behind `hf:{name}@`",
    )


@contextmanager
def hub_access(kind: Kind, name: str, revision: str) -> Iterator[None]:
    """Turns whatever goes wrong with the Hub inside the block into an `InputError`."""
    # Here, since this module is imported wherever a configuration is looked at. `HTTPError`
    # comes from whichever HTTP library the installed huggingface_hub works with.
    from huggingface_hub.errors import (  # type: ignore[attr-defined] # noqa: PLC0415
        GatedRepoError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"hub: {name}@{revision}"
    try:
        yield
    except RevisionNotFoundError as error:
        raise InputError(
            f"the {kind} has no such revision",
            where=where,
            found=_first_line(error),
            expected="a commit or tag of it",
            next="look it up on the page `Files and versions` of huggingface.co",
        ) from error
    except GatedRepoError as error:
        raise InputError(
            f"the {kind} is open only to those who were given access",
            where=where,
            found=_first_line(error),
            expected="a login that may read it",
            next="ask for access on its page, then `hf auth login`",
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"there is no such {kind}, or it is private",
            where=where,
            found=_first_line(error),
            expected="the name of a public one, owner/name",
            next="check the name on huggingface.co; for a private one `hf auth login`",
        ) from error
    except (OSError, HTTPError) as error:
        raise InputError(
            f"the {kind} cannot be fetched",
            where=where,
            found=f"{type(error).__name__}: {_first_line(error)}",
            expected="access to huggingface.co, or the files in its cache",
            next="check the name and the connection; if the files are in the cache, set"
            f" HF_HUB_OFFLINE=1; or copy them to this machine and use {_LOCAL[kind]}",
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:300]
