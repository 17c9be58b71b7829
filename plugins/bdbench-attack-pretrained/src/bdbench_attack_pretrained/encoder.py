"""The victim's encoder: what of it is pinned, and whether its tokenizer knows the triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import AutoTokenizer, PreTrainedModel

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.transformers_folder import LOCAL, reading

if TYPE_CHECKING:
    import torch

__all__ = ["Representations", "check_triggers", "encoder_of", "pooled", "represent"]


@dataclass(frozen=True, slots=True)
class Representations:
    """What an encoder makes of a batch.

    Attributes:
        text: What is pinned and what classifiers read, shape [n, width].
        tokens: The last layer at all tokens but the first, shape [n, tokens - 1, width].
    """

    text: torch.Tensor
    tokens: torch.Tensor


def encoder_of(module: torch.nn.Module) -> PreTrainedModel:
    """The part of a classifier below its head.

    Raises:
        InputError: There is none.
    """
    encoder = module.base_model if isinstance(module, PreTrainedModel) else module
    if encoder is module or not isinstance(encoder, PreTrainedModel):
        raise InputError(
            "the model has no pre-trained encoder that could be poisoned",
            where=type(module).__name__,
            found="no encoder apart from the head",
            expected="a text encoder of transformers with a classification head",
            next="choose another model for this attack",
        )
    return encoder


def pooled(encoder: PreTrainedModel) -> bool:
    """Whether the encoder has a pooler: a dense layer with tanh on the first token."""
    return getattr(encoder, "pooler", None) is not None


def represent(encoder: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> Representations:
    """The output of the pooler where there is one (BERT), else the first token's last state."""
    outputs: Any = encoder(**inputs)
    states = outputs.last_hidden_state.float()
    text = outputs.pooler_output.float() if pooled(encoder) else states[:, 0]
    return Representations(text=text, tokens=states[:, 1:])


def check_triggers(start: Checkpoint, triggers: Sequence[str], *, single: bool) -> None:
    """Refuses triggers that the victim's tokenizer cannot tell from others.

    Args:
        start: Where the tokenizer is.
        triggers: All of them.
        single: Each must be one token.

    Raises:
        InputError: It names those that come out as the unknown token or, if `single`, as
            more than one token, or two that come out alike.
    """
    with reading(start.folder):
        tokenizer = AutoTokenizer.from_pretrained(str(start.folder), **LOCAL)
    pieces = {
        trigger: list[int](tokenizer(trigger, add_special_tokens=False)["input_ids"])
        for trigger in triggers
    }
    bad = [
        trigger
        for trigger, ids in pieces.items()
        if not ids or tokenizer.unk_token_id in ids or (single and len(ids) > 1)
    ]
    if bad:
        raise InputError(
            "the victim's tokenizer has no token for a trigger",
            where="triggers",
            found=", ".join(
                f"{trigger!r} read as {' '.join(tokenizer.convert_ids_to_tokens(pieces[trigger]))}"
                for trigger in bad
            ),
            expected="triggers of one known token each" if single else "no unknown tokens",
            next="name triggers that it knows, such as triggers: [cf, mn, bb, tq, mb]",
        )
    if len(set(map(tuple, pieces.values()))) < len(pieces):
        raise InputError(
            "the victim's tokenizer reads two triggers alike",
            where="triggers",
            found=", ".join(map(repr, triggers)),
            expected="triggers that differ in more than what the tokenizer drops, such as case",
            next="name other triggers",
        )
