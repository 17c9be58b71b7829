"""Why a plugin cannot be used, in one line; and whether it was written for another API."""

from __future__ import annotations

import ast
import importlib.util
import re
import types
from difflib import get_close_matches
from pathlib import Path

import bdbench.api
from bdbench.api import API_VERSION, hooks

__all__ = [
    "api_number",
    "asks_for_more",
    "explained",
    "incompatibility",
    "is_supported",
    "reason_of",
]

HOST = "bdbench"
API_FORM = re.compile(r"\d+\.\d+")
UNKNOWN_HOOK = re.compile(r"unknown hook '(\w+)'")
UNKNOWN_KEYWORD = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument")
MODULE = re.compile(r"<module '([^']*)' from [^>]*>")
FILE = re.compile(r" \([^()]*[/\\][^()]*\)$")
"""How the message of an ImportError ends: where the module's file lies on this machine."""


def reason_of(error: BaseException) -> str:
    """What was raised, in one line and without the places of modules' files."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    text = MODULE.sub(r"\1", text)
    if isinstance(error, ImportError):
        text = FILE.sub("", text)
    close = _close_hook(error)
    return f"{text}; did you mean {close!r}?" if close else text


def explained(error: BaseException) -> str:
    """`reason_of`, and that the host may be too old, where that may be the cause."""
    hint = f" (perhaps written for a newer API than this host's {API_VERSION})"
    return reason_of(error) + (hint if asks_for_more(error) else "")


def _unknown_hook(error: BaseException) -> str:
    found = UNKNOWN_HOOK.match(str(error))
    return found[1] if found else ""


def _close_hook(error: BaseException) -> str:
    known = [name for name in vars(hooks) if name.startswith("bdbench_")]
    close = get_close_matches(_unknown_hook(error), known, n=1, cutoff=0.9)
    return close[0] if close else ""


def asks_for_more(error: BaseException) -> bool:
    """Whether a plugin wanted something of bdbench that this version does not have."""
    if isinstance(error, ImportError):
        return _is_ours(error.name or "")
    if isinstance(error, AttributeError):
        owner = error.obj
        if isinstance(owner, types.ModuleType):
            return _is_ours(owner.__name__)
        return _is_ours((owner if isinstance(owner, type) else type(owner)).__module__)
    if isinstance(error, TypeError):
        found = UNKNOWN_KEYWORD.match(str(error))
        return found is not None and hasattr(bdbench.api, found[1])
    return bool(_unknown_hook(error)) and not _close_hook(error)


def _is_ours(module: str) -> bool:
    return module == HOST or module.startswith(f"{HOST}.")


def api_number(text: object, whose: str) -> tuple[int, int]:
    """A version of the API as numbers.

    Raises:
        ValueError: It is not of the form ``MAJOR.MINOR``.
    """
    if not isinstance(text, str) or not API_FORM.fullmatch(text):
        raise ValueError(f"api {text!r} of {whose} is not MAJOR.MINOR, such as {API_VERSION!r}")
    major, minor = text.split(".")
    return int(major), int(minor)


def is_supported(api: tuple[int, int]) -> bool:
    """Whether what was written for a version of the API works with this host."""
    ours = api_number(API_VERSION, HOST)
    return api[0] == ours[0] and api <= ours


def incompatibility(distribution: str, module: str) -> str:
    """That a plugin itself says that it is for another host; empty if it does not.

    Args:
        distribution: Its name; what it requires stands in its metadata.
        module: That its entry point names; it may not be importable, and is read only.
    """
    written = _written_for(module)
    if written and not is_supported(written):
        return f"written for API {written[0]}.{written[1]}, this host has {API_VERSION}"
    # Where something is wrong only: it brings in packaging.
    from bdbench.host.installed import find_distribution  # noqa: PLC0415
    from bdbench.host.requirements import unmet  # noqa: PLC0415

    dist = find_distribution(distribution)
    for text, found in unmet(dist.requires or ()) if dist else ():
        if re.match(rf"{HOST}\b(?!-)", text):
            return f"requires {text}, this is {HOST} {found} with API {API_VERSION}"
    return ""


def _written_for(module: str) -> tuple[int, int] | None:
    """The newest API that the specs in a module name, read without running it."""
    try:
        spec = importlib.util.find_spec(module.partition(":")[0].strip())
        source = Path(spec.origin).read_bytes() if spec and spec.origin else b""
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    # Its package is imported to find it. What cannot be read says nothing, and the reason why the
    # plugin is not usable is known already.
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001
        return None
    said = [
        keyword.value.value
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "api" and isinstance(keyword.value, ast.Constant)
    ]
    numbers = [api_number(text, module) for text in said if API_FORM.fullmatch(str(text))]
    return max(numbers, default=None)
