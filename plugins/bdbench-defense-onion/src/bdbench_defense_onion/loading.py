"""A causal language model from a folder: read safely, checked, made ready."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.activations import NewGELUActivation

from bdbench.api import InputError, NonFiniteError
from bdbench.toolkit.transformers_folder import LOCAL, reading, require_model
from bdbench_defense_onion.packing import Tokens
from bdbench_defense_onion.perplexity import Perplexities

__all__ = ["can_pack", "keep_output_exact", "load"]


def load(folder: Path) -> tuple[Any, Any]:
    """Model (fp32, on the device where it will run) and tokenizer.

    Raises:
        InputError: The folder does not hold a causal language model with all of its weights
            and its tokenizer.
    """
    require_model(folder)
    with reading(folder):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **LOCAL)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **LOCAL,
        )
    model, report = loaded
    problem = _problem(model, tokenizer, sorted(report["missing_keys"]))
    if problem:
        raise InputError(
            "the folder does not hold a causal language model",
            where=str(folder),
            found=problem,
            expected="a model that predicts each token from those before it, and its tokenizer",
            next="name the folder of one, such as GPT-2, saved with its tokenizer",
        )
    _fuse_activations(model)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return model, tokenizer


def can_pack(model: Any) -> bool:
    """Whether the model, told what each token sees, gives what it gives for rows of their own.

    Some architectures cannot be told (recurrent ones, positions by distance in the row).
    """
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    text = _probe(model)
    sequences = [text, *(text[:gap] + text[gap + 2 :] for gap in range(len(text)))]

    def ask(*, packs: bool) -> torch.Tensor:
        asked = Perplexities(model, bf16=False, packs=packs, where=model.name_or_path)
        return torch.tensor(asked.of([sequences])[0])

    plain = ask(packs=False)
    try:
        return torch.allclose(ask(packs=True), plain, rtol=1e-4)
    except (IndexError, NonFiniteError, RuntimeError, TypeError, ValueError):
        return False  # to refuse such a mask, or to fail on it, is an answer, too


def keep_output_exact(model: Any) -> None:
    """Runs the output layer in fp32 even under autocast.

    Logits of trained models are large, and in bf16 one of -100 is off by up to 0.25.
    """
    layer = model.get_output_embeddings()
    if layer is not None:
        model.set_output_embeddings(_Exact(layer))


class _Exact(torch.nn.Module):
    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: torch.Tensor) -> Any:
        with torch.autocast(hidden.device.type, enabled=False):
            return self.layer(hidden.float())


def _probe(model: Any) -> Tokens:
    """Some token numbers, all over the vocabulary."""
    known = model.get_input_embeddings().num_embeddings
    return tuple(7919 * place % known for place in range(1, 13))


def _problem(model: Any, tokenizer: Any, missing: Sequence[str]) -> str:
    """What keeps it from being a causal language model; empty if nothing."""
    name = type(model).__name__
    known = model.get_input_embeddings().num_embeddings
    if missing:
        return f"{name} without {len(missing)} of its tensors, for instance {missing[0]}"
    if len(tokenizer) > known:
        return f"a tokenizer of {len(tokenizer)} tokens, of which {name} knows {known}"
    tokens = torch.tensor([_probe(model)])
    with torch.no_grad():
        whole, start = (
            model(input_ids=part, use_cache=False).logits[:, :6] for part in (tokens, tokens[:, :6])
        )
    if not torch.isfinite(whole).all():
        return f"{name} with predictions that are NaN or infinite"
    # What comes later must leave the predictions as they are; encoders fail here.
    if not torch.allclose(whole, start, rtol=1e-4, atol=1e-4):
        return f"{name}, whose tokens see those after them"
    return ""


def _fuse_activations(model: torch.nn.Module) -> None:
    """GPT-2's activation as one kernel instead of eight; the function is the same."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))
