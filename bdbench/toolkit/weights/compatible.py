"""Whether models can be computed with tensor by tensor: told before any arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.weights.reader import WeightReader
from bdbench.toolkit.weights.vocabularies import difference, read_document

__all__ = ["check_mergeable", "check_tokenizers"]

# Settings that change what a weight means without always changing a shape.
_SETTINGS = (
    "model_type",
    "architectures",
    "num_labels",
    "id2label",
    "vocab_size",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
)
_ADVICE = "use models of one architecture, with the same labels and the same tokenizer"
_SAVE_ALIKE = (
    "use models of one architecture, saved alike: load each with `from_pretrained` of one version"
    " of transformers, in one type, and save it with `save_pretrained`"
)


def check_mergeable(checkpoints: Sequence[Checkpoint], names: Sequence[str]) -> None:
    """Refuses models whose weights do not correspond one to one.

    Compared with the first model: the names, shapes and types of all tensors; in
    ``config.json`` the architecture, the labels and the size of the vocabulary; every file of
    tokens that both have, or the tokens in different files. What a model does not state is not
    compared. Reads headers and small files only.

    Args:
        checkpoints: At least one.
        names: What messages call each.

    Raises:
        InputError: Names the model and the tensor or setting in which it differs.
    """
    models = list(zip(checkpoints, names, strict=True))
    with ExitStack() as stack:
        _check_tensors([stack.enter_context(WeightReader(*model)) for model in models])
    settings = [_settings(checkpoint.folder, name) for checkpoint, name in models]
    for (checkpoint, name), stated in zip(models[1:], settings[1:], strict=True):
        _check_settings(settings[0], stated, names[0], name)
        check_tokenizers((checkpoints[0], checkpoint), (names[0], name))


def check_tokenizers(checkpoints: Sequence[Checkpoint], names: Sequence[str]) -> None:
    """Refuses models that count other tokens than the first; part of `check_mergeable`.

    Every file of tokens that both have is compared, or the tokens in different files. A folder
    without any, as that of an adapter may be, is not compared.

    Args:
        checkpoints: At least one.
        names: What messages call each.

    Raises:
        InputError: Names both models and the file in which they differ.
    """
    for checkpoint, name in zip(checkpoints[1:], names[1:], strict=True):
        differing = difference(checkpoints[0].folder, checkpoint.folder, names[0], name)
        if differing is not None:
            raise _differs("tokenizers", name, *differing)


def _check_tensors(models: Sequence[WeightReader]) -> None:
    first = models[0]
    for model in models[1:]:
        missing = [name for name in first.tensors if name not in model.tensors]
        extra = [name for name in model.tensors if name not in first.tensors]
        if missing or extra:
            found = [f"no {_listed(missing)}"] if missing else []
            found += [f"{_listed(extra)} in addition"] if extra else []
            raise _differs("tensors", model.model, " and ".join(found), f"those of {first.model}")
        for stored in first:
            ours, theirs = stored.info, model[stored.info.name].info
            if ours != theirs:
                raise _differs(
                    "tensors",
                    model.model,
                    f"{ours.name!r} of shape {list(theirs.shape)} and type {theirs.dtype}",
                    f"shape {list(ours.shape)} and type {ours.dtype}, as in {first.model}",
                )


def _settings(folder: Path, name: str) -> dict[str, Any]:
    path = folder / "config.json"
    document = read_document(path, name) if path.is_file() else {}
    stated = {key: document[key] for key in _SETTINGS if document.get(key) is not None}
    if isinstance(stated.get("id2label"), dict):
        stated.setdefault("num_labels", len(stated["id2label"]))
    return stated


def _check_settings(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], first: str, name: str
) -> None:
    for key in _SETTINGS:
        if key in ours and key in theirs and ours[key] != theirs[key]:
            raise _differs(
                f"config.json in {key!r}", name, repr(theirs[key]), f"{ours[key]!r}, as in {first}"
            )


def _listed(names: Sequence[str], most: int = 3) -> str:
    text = ", ".join(repr(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def _differs(what: str, name: str, found: str, expected: str) -> InputError:
    return InputError(
        f"the models cannot be combined: they differ in their {what}",
        where=name,
        found=found,
        expected=expected,
        next=_SAVE_ALIKE if what == "tensors" else _ADVICE,
    )
