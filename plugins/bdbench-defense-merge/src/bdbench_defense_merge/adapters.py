"""LoRA adapters (Hu et al. 2022) as PEFT writes them, and whether they can be merged."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.weights import WeightReader, check_tokenizers

__all__ = [
    "CONFIG_FILE",
    "FACTOR",
    "Adapter",
    "check_equal_scaling",
    "open_adapters",
]

CONFIG_FILE = "adapter_config.json"

FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
"""The names of the factors. Each module has A, shape [r, inputs], and B, shape [outputs, r]."""

# PEFT puts this before the name that a module has in the base model.
_PREFIX = "base_model.model."

# What makes an adapter something else than a sum of products, or than products with the base
# weights as they are.
_OTHER_KINDS = (
    "use_dora",
    "use_qalora",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
)

# Ways to start an adapter that leave the base weights alone; PiSSA, OLoRA and the like do not,
# and would do it again, otherwise, at another rank.
_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")

# A pattern in the file is a regular expression, which is not run: a plain name, or the end of
# one, is taken as what it says.
_NAME = re.compile(r"[\w.]+")


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True)

    peft_type: str = "LORA"
    r: Annotated[int, Field(ge=1)] = 8
    lora_alpha: Annotated[float, Field(allow_inf_nan=False)] = 8
    use_rslora: bool = False
    rank_pattern: dict[str, Annotated[int, Field(ge=1)]] | None = None
    alpha_pattern: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter whose files are open.

    Attributes:
        folder: Where it is.
        settings: All of its ``adapter_config.json``.
        tensors: Its tensors.
    """

    folder: Path
    settings: Mapping[str, Any]
    tensors: WeightReader
    _read: _Settings

    def modules(self) -> list[str]:
        """The adapted modules, as the names of their tensors begin."""
        found = (FACTOR.fullmatch(tensor.info.name) for tensor in self.tensors)
        return [match["module"] for match in found if match and match["side"] == "A"]

    def base_name(self, module: str) -> str:
        """The module's name in the base model, which the patterns in the settings go by."""
        return module.removeprefix(_PREFIX)

    def rank(self, module: str) -> int:
        """The number of rows of A."""
        return self.tensors[f"{module}.lora_A.weight"].info.shape[0]

    def scaling(self, module: str) -> float:
        """What PEFT multiplies ``B A`` with: alpha over the rank, or over its root (rsLoRA)."""
        alpha, name = self._read.lora_alpha, self.base_name(module)
        for key, value in (self._read.alpha_pattern or {}).items():
            if f".{name}".endswith(f".{key}"):
                alpha = value
                break
        rank = self.rank(module)
        return alpha / (math.sqrt(rank) if self._read.use_rslora else rank)


def check_equal_scaling(models: Mapping[str, Checkpoint]) -> None:
    """Refuses adapters that the mean of factors cannot average, and passes whole models.

    Merged factor by factor, adapters must share ranks and scaling: the result has those of the
    first.

    Raises:
        InputError: They differ.
    """
    stated = {name: _settings(model.folder, name) for name, model in models.items()}
    if all(settings is None for settings in stated.values()):
        return
    first, ours = next(iter(stated.items()))
    for name, theirs in stated.items():
        if ours is None or theirs is None:
            kinds = ("a whole model", "a LoRA adapter")
            found, expected = kinds if theirs is None else kinds[::-1]
            raise _refusal(
                "an adapter cannot be merged with a whole model",
                name,
                found,
                f"{expected}, as {first}",
                "merge adapters with adapters; or fold each into its base and save the models",
            )
        for key in _Settings.model_fields:
            pair = getattr(ours[1], key) or None, getattr(theirs[1], key) or None
            if pair[0] != pair[1]:
                raise _refusal(
                    "the factors of adapters that differ in rank or scaling have no mean",
                    f"{name}: {CONFIG_FILE}",
                    f"{key} {pair[1]!r}",
                    f"{pair[0]!r}, as in {first}",
                    "set `lora: products`, which needs neither to be equal",
                )


def open_adapters(models: Mapping[str, Checkpoint], files: ExitStack) -> list[Adapter]:
    """Opens adapters whose products can be added, until `files` is closed.

    They must adapt the same modules of the same shapes and hold the same other tensors (a
    trained head); their ranks and scalings may differ. Tokenizers that lie beside them must
    count the same tokens: what one adapter learnt of a token means nothing for another's.

    Raises:
        InputError: They do not correspond, or one is not a LoRA adapter of the plain kind.
    """
    adapters = [_open(model, name, files) for name, model in models.items()]
    check_tokenizers(list(models.values()), list(models))
    first = adapters[0]
    for other in adapters[1:]:
        ours, theirs = (_shapes(adapter) for adapter in (first, other))
        for name in [*ours, *theirs]:
            if ours.get(name) != theirs.get(name):
                raise _refusal(
                    "the adapters do not correspond",
                    other.tensors.model,
                    f"{name!r} {theirs.get(name, 'missing')}",
                    f"{ours.get(name, 'no such tensor')}, as in {first.tensors.model}",
                    "use adapters of one base model, with the same target modules and head",
                )
    return adapters


def _open(model: Checkpoint, name: str, files: ExitStack) -> Adapter:
    read = _settings(model.folder, name)
    where = f"{name}: {model.folder / CONFIG_FILE}"
    if read is None:
        raise _refusal(
            "`lora: products` merges LoRA adapters",
            where,
            "no such file",
            "a folder as PEFT saves an adapter",
            "leave `lora` out for whole models",
        )
    document, settings = read
    other = [key for key in _OTHER_KINDS if document.get(key)]
    start = document.get("init_lora_weights")
    if settings.peft_type != "LORA" or other or start not in _STARTS:
        found = f"peft_type {settings.peft_type!r}, init_lora_weights {start!r}"
        raise _refusal(
            "the products of this kind of adapter cannot be added",
            where,
            "; ".join([found, *(f"{key} {document[key]!r}" for key in other)]),
            "plain LoRA, or rsLoRA, on unchanged base weights",
            "fold each adapter into its base model, save the models and merge those",
        )
    for key in settings.alpha_pattern or {}:
        if not _NAME.fullmatch(key):
            raise _refusal(
                "a regular expression in a file is not run",
                where,
                f"alpha_pattern {key!r}",
                "the name of a module, or the end of one",
                "write out the modules that it means",
            )
    adapter = Adapter(
        model.folder, document, files.enter_context(WeightReader(model, name)), settings
    )
    _check_tensors(adapter, where)
    return adapter


def _check_tensors(adapter: Adapter, where: str) -> None:
    tensors = adapter.tensors.tensors
    for name, tensor in tensors.items():
        match, shape = FACTOR.fullmatch(name), tensor.info.shape
        twin = None
        if match:
            side = "B" if match["side"] == "A" else "A"
            twin = tensors.get(f"{match['module']}.lora_{side}.weight")
        if match and twin and len(shape) == len(twin.info.shape) == 2:
            a, b = (shape, twin.info.shape) if match["side"] == "A" else (twin.info.shape, shape)
            if a[0] == b[1] and tensor.info.dtype.is_floating_point:
                continue
        elif "lora_" not in name:
            continue
        raise _refusal(
            "a tensor is not a factor of an adapted linear layer",
            where,
            f"{name!r} of shape {list(shape)}",
            "A [rank, inputs] and B [outputs, rank] for each module, and other tensors without"
            " 'lora_' in their names",
            "save the adapter with `save_pretrained` of PEFT; embeddings and convolutions with"
            " LoRA are not supported",
        )
    if not adapter.modules():
        raise _refusal(
            "the adapter adapts nothing", where, "no factors", "at least one module", "name another"
        )


def _shapes(adapter: Adapter) -> dict[str, str]:
    """What must be equal, by tensor: type and shape, but for the rank."""
    shapes = {}
    for tensor in adapter.tensors:
        info, match = tensor.info, FACTOR.fullmatch(tensor.info.name)
        sizes: list[Any] = list(info.shape)
        if match:
            sizes[0 if match["side"] == "A" else 1] = "rank"
        shapes[info.name] = f"of shape [{', '.join(map(str, sizes))}] and type {info.dtype}"
    return shapes


def _settings(folder: Path, name: str) -> tuple[dict[str, Any], _Settings] | None:
    path = folder / CONFIG_FILE
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        return document, _Settings.model_validate(document)
    except (ValueError, RecursionError) as error:
        found = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise _refusal(
            "the settings of an adapter cannot be read",
            f"{name}: {path}",
            found[:200],
            "what PEFT writes for LoRA",
            "save the adapter again",
        ) from None


def _refusal(what: str, where: str, found: str, expected: str, advice: str) -> InputError:
    return InputError(what, where=where, found=found, expected=expected, next=advice)
