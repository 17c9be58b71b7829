"""Text classifiers on the encoders of Hugging Face transformers."""

from __future__ import annotations

import copy
import shutil
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from bdbench.api import Checkpoint, Examples, InputError, SeedStream, Task
from bdbench.toolkit.classifier import Classifier
from bdbench.toolkit.stored_types import restore_stored_types
from bdbench.toolkit.transformers_folder import (
    LOCAL,
    TOKENIZER_FILES,
    quietly,
    read_json,
    reading,
    require_model,
)

__all__ = [
    "EncoderClassifier",
    "Pretrained",
    "Tokens",
    "TransformersClassifier",
    "seeded",
]

_FIELDS = "bdbench_fields"

# RoBERTa and its kin begin to count positions after the padding token's number.
_COUNT_FROM_PADDING = frozenset(
    {"camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta"}
    | {"roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"}
)


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What training starts from, before there is a head.

    Attributes:
        config: The encoder's architecture.
        weights: The encoder's tensors, named as in its own state dict. Only those that were
            really pre-trained: no freshly drawn ones.
        tokenizer: Of the fast kind.
    """

    config: Any
    weights: Mapping[str, torch.Tensor]
    tokenizer: Any


@dataclass(frozen=True, slots=True)
class Tokens:
    """One encoded row.

    Attributes:
        input_ids: Token numbers.
        token_type_ids: 0 and 1 for first and second text, where the encoder tells them apart.
        pad: The token number to pad with.
        cut: Whether the row has more tokens. Plays no part in whether two are equal.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None
    pad: int
    cut: bool = field(default=False, compare=False)


class EncoderClassifier(Classifier):
    """A pre-trained encoder with a fresh classification head, for one text or a pair.

    The configuration must have ``max_length: int``, the most tokens of a row that are kept.
    A checkpoint is a folder as transformers writes it; its ``config.json`` also holds the
    task's fields under ``bdbench_fields``.
    """

    @abstractmethod
    def pretrained(self, seeds: SeedStream) -> Pretrained:
        """The encoder.

        Raises:
            InputError: It cannot be found, or is not what it should be.
        """

    def prepare(self, task: Task, folder: Path, seeds: SeedStream) -> None:
        """Writes encoder, fresh head and tokenizer; the head comes from ``seeds`` alone."""
        if len(task.classes) < 2 or len(task.fields) not in {1, 2}:
            raise InputError(
                "an encoder cannot be trained for this task",
                where=task.name,
                found=f"fields {list(task.fields)}, classes {list(task.classes)}",
                expected="one text or a pair of texts, and at least two classes",
                next="choose another model for this data set",
            )
        start = self.pretrained(seeds)
        config = copy.deepcopy(start.config)
        config.id2label = dict(enumerate(task.classes))
        config.label2id = {name: number for number, name in enumerate(task.classes)}
        config.problem_type = None
        setattr(config, _FIELDS, list(task.fields))
        with quietly(), seeded(seeds.child("head").seed()):
            try:
                model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
                    config, dtype=torch.float32, trust_remote_code=False
                )
            except ValueError as error:
                raise InputError(
                    "the architecture cannot classify texts",
                    where=str(config.model_type),
                    found=str(error).partition("\n")[0],
                    expected="an encoder that transformers has a sequence classifier for",
                    next="choose another model",
                ) from error
            _fill(model, start.weights)
            model.save_pretrained(folder)
            start.tokenizer.save_pretrained(folder)

    def load(self, checkpoint: Checkpoint) -> PreTrainedModel:
        """The classifier in fp32 on the CPU, in evaluation mode.

        Raises:
            InputError: The folder does not hold one, or not all of its weights.
        """
        folder = checkpoint.folder
        require_model(folder)
        with reading(folder):
            model, report = AutoModelForSequenceClassification.from_pretrained(
                str(folder),
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **LOCAL,
            )
        wrong = sorted([*report["missing_keys"], *report["unexpected_keys"]])
        if wrong:
            raise InputError(
                "the weights are not those of the architecture",
                where=str(folder),
                found=f"{len(report['missing_keys'])} tensors missing and"
                f" {len(report['unexpected_keys'])} unknown, for instance {wrong[0]}",
                expected=f"all weights of {type(model).__name__}, head included, and no others",
                next="name a folder that was saved from a trained classifier",
            )
        classifier: PreTrainedModel = model.eval()
        return classifier

    def save(self, module: torch.nn.Module, like: Checkpoint, folder: Path) -> None:
        """Writes weights and configuration of `module`, and the tokenizer of `like`.

        The weights are stored in the types of `like`: what is made of a model in bf16 is in bf16
        again, as large as that was, and can be merged with its siblings. What a defense changed
        by less than such a type can tell apart is lost, as it was when the model was first saved
        so; whoever measures the saved model measures that, too. Victims of suites are in fp32,
        and nothing is rounded.

        Raises:
            NonFiniteError: A weight is too large for its type.
        """
        if not isinstance(module, PreTrainedModel):
            raise TypeError(f"not a model of transformers: {type(module).__name__}")
        with quietly():
            module.save_pretrained(folder)
        restore_stored_types(folder, like)
        for name in TOKENIZER_FILES:
            if (like.folder / name).is_file():
                shutil.copyfile(like.folder / name, folder / name)

    def encode(self, examples: Examples, checkpoint: Checkpoint) -> list[Tokens]:
        """Token numbers of each row, cut to ``max_length`` and to what the encoder can take.

        In a pair, tokens go from the end of whichever text is longer at the time.

        Raises:
            InputError: The rows lack a field, or the tokenizer is of no use here.
        """
        reader = _reader(checkpoint.folder)
        texts = [list(examples.inputs[name]) for name in reader.fields_of(examples)]
        if not texts[0]:
            return []
        with quietly():
            encoded = reader.tokenizer(
                *texts,
                truncation=True,
                max_length=min(self.config.max_length, reader.positions),
                return_attention_mask=False,
            )
        ids: list[list[int]] = encoded["input_ids"]
        types: Sequence[list[int] | None] = encoded.get("token_type_ids", [None] * len(ids))
        cut = [bool(encoding.overflowing) for encoding in encoded.encodings]
        return [
            Tokens(row, kinds, reader.pad, more)
            for row, kinds, more in zip(ids, types, cut, strict=True)
        ]

    def is_cut(self, item: Tokens) -> bool:
        """Whether the row has more tokens than were kept."""
        return item.cut

    def size(self, item: Tokens) -> int:
        """The number of tokens."""
        return len(item.input_ids)

    def collate(self, items: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask`` and, where there are, ``token_type_ids``.

        Each has shape [n, tokens of the longest row]; shorter rows are padded at the end.
        """
        lengths = [len(item.input_ids) for item in items]
        width = max(lengths)
        batch = {
            "input_ids": [
                item.input_ids + [item.pad] * (width - length)
                for item, length in zip(items, lengths, strict=True)
            ],
            "attention_mask": [[1] * length + [0] * (width - length) for length in lengths],
        }
        types = [item.token_type_ids for item in items if item.token_type_ids is not None]
        if types:
            batch["token_type_ids"] = [row + [0] * (width - len(row)) for row in types]
        return {name: torch.tensor(rows) for name, rows in batch.items()}

    def forward(self, module: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits, shape [n, classes]."""
        logits: torch.Tensor = module(**batch).logits
        return logits


class TransformersClassifier(EncoderClassifier):
    """An encoder that stands in a folder: ``config.json``, safetensors, tokenizer.

    The folder may hold a model with any head, or none: only the encoder is taken from it.
    """

    @abstractmethod
    def source(self) -> Path:
        """The folder.

        Raises:
            InputError: It cannot be had.
        """

    def pretrained(self, seeds: SeedStream) -> Pretrained:  # noqa: ARG002 -- nothing random
        """Reads the folder."""
        folder = self.source()
        require_model(folder)
        with reading(folder), seeded(0):
            config = AutoConfig.from_pretrained(str(folder), **LOCAL)
            model, report = AutoModel.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **LOCAL,
            )
            tokenizer = AutoTokenizer.from_pretrained(str(folder), use_fast=True, **LOCAL)
        drawn = set(report["missing_keys"])
        weights = {name: value for name, value in model.state_dict().items() if name not in drawn}
        return Pretrained(config=config, weights=weights, tokenizer=tokenizer)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Lets the CPU's global generator of torch start from `seed`, and puts it back afterwards.

    Models are initialised on the CPU; the generators of other devices are left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@dataclass(frozen=True, slots=True)
class _Reader:
    tokenizer: Any
    fields: tuple[str, ...]
    positions: int
    pad: int

    def fields_of(self, examples: Examples) -> tuple[str, ...]:
        fields = self.fields or tuple(n for n in ("text", "text_pair") if n in examples.inputs)
        if not fields or not set(fields) <= set(examples.inputs):
            raise InputError(
                "the rows do not have the fields that the model reads",
                where="encode",
                found=", ".join(examples.inputs),
                expected=", ".join(self.fields or ("text", "text_pair")),
                next=f"name the fields under {_FIELDS!r} in the checkpoint's config.json",
            )
        return fields


def _reader(folder: Path) -> _Reader:
    require_model(folder)
    # A folder that was written anew is another one.
    return _cached_reader(folder, (folder / "config.json").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _cached_reader(folder: Path, written: int) -> _Reader:  # noqa: ARG001 -- part of the key
    settings = read_json(folder / "config.json")
    with reading(folder):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), use_fast=True, **LOCAL)
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise InputError(
            "the tokenizer cannot be used",
            where=str(folder),
            found="no token to pad with" if tokenizer.is_fast else "no tokenizer.json",
            expected="a fast tokenizer with a padding token",
            next="choose an encoder, such as one of the BERT family",
        )
    known = tokenizer.model_max_length
    unknown = known > 1_000_000  # transformers' way to say that the tokenizer does not know
    positions = settings.get("max_position_embeddings") or (512 if unknown else known)
    if unknown or settings.get("model_type") in _COUNT_FROM_PADDING:
        positions -= tokenizer.pad_token_id + 1
    return _Reader(
        tokenizer=tokenizer,
        fields=tuple(settings.get(_FIELDS, ())),
        positions=min(known, positions),
        pad=tokenizer.pad_token_id,
    )


def _fill(model: PreTrainedModel, weights: Mapping[str, torch.Tensor]) -> None:
    """Puts the pre-trained tensors into the encoder, and leaves the head as it was drawn."""
    encoder = model.base_model
    wanted = encoder.state_dict()
    lacking = sorted(wanted.keys() - weights.keys())
    if encoder is model or lacking:
        raise InputError(
            "the pre-trained weights are not complete",
            where=str(model.config.model_type),
            found=f"{len(lacking)} of {len(wanted)} tensors of the encoder missing, for instance"
            f" {lacking[0]}"
            if lacking
            else "a model without a separate encoder",
            expected="weights for everything but the head",
            next="choose a checkpoint that holds the whole encoder",
        )
    encoder.load_state_dict({name: weights[name] for name in wanted})
