"""Clean pre-trained weights in the form of a victim that somebody else saved."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from bdbench.api import Checkpoint
from bdbench.toolkit.transformers_folder import TOKENIZER_FILES
from bdbench.toolkit.weights import PIECE, StoredTensor, TensorInfo, WeightReader, WeightWriter
from bdbench.toolkit.weights.vocabularies import vocabulary

__all__ = ["likened"]

_NAMES = ("victim", "base weights")


def likened(
    base: Checkpoint, victim: Checkpoint, loaded: Collection[str], folder: Path
) -> Checkpoint:
    """Writes a base that corresponds to a victim tensor by tensor, where that is possible.

    A defense compares files. A victim that was saved in another type, or by another version of
    transformers, holds the same weights in another form: its types, and buffers that are
    computed nowadays. The base takes the victim's types, and the victim's own values for what
    its architecture does not load. It takes the victim's tokenizer if both number the same
    tokens alike. What still differs is left for the defense to refuse.

    Args:
        base: As the model family prepared it.
        victim: The model to repair.
        loaded: The names of the tensors that the victim's architecture has.
        folder: Does not exist yet.

    Raises:
        InputError: One of the models cannot be read.
    """
    folder.mkdir()
    for path in sorted(base.folder.iterdir()):
        if path.is_file() and path not in base.weight_files():
            shutil.copyfile(path, folder / path.name)
    with WeightReader(base, _NAMES[1]) as ours, WeightReader(victim, _NAMES[0]) as theirs:
        sources = _sources(ours, theirs, loaded)
        planned = [info for info, _ in sources]
        with WeightWriter(folder / "model.safetensors", planned) as writer:
            for info, stored in sources:
                for start in range(0, info.numel, PIECE):
                    values = stored.read(start, min(start + PIECE, info.numel))
                    writer.write(info.name, values.to(info.dtype))
    tokens = vocabulary(base.folder, _NAMES[1])
    if tokens is not None and tokens == vocabulary(victim.folder, _NAMES[0]):
        _take_tokenizer(victim.folder, folder)
    return Checkpoint(folder)


def _sources(
    base: WeightReader, victim: WeightReader, loaded: Collection[str]
) -> list[tuple[TensorInfo, StoredTensor]]:
    """What is written, and where it is read from: in the victim's order, then what it lacks."""
    sources: dict[str, tuple[TensorInfo, StoredTensor]] = {}
    for stored in victim:
        info = stored.info
        own = base.tensors.get(info.name)
        if info.name not in loaded:
            sources[info.name] = info, stored
        elif own is not None:
            sources[info.name] = TensorInfo(info.name, info.dtype, own.info.shape), own
    for stored in base:
        sources.setdefault(stored.info.name, (stored.info, stored))
    return list(sources.values())


def _take_tokenizer(victim: Path, folder: Path) -> None:
    for name in TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)
        if (victim / name).is_file():
            shutil.copyfile(victim / name, folder / name)
