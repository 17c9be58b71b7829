"""Paraphrases from a seq2seq model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, LogitsProcessor

from bdbench.api import Examples, InputError, NonFiniteError, SeedStream, Task
from bdbench.toolkit.transformers_folder import LOCAL, quietly, reading, require_model

__all__ = ["ModelParaphrases", "NucleusSampler"]

_BATCH = 32
# Texts that are put into batches of similar length together. A caller that stops early has
# waited for at most so many.
_GROUP = 128


class NucleusSampler(LogitsProcessor):
    """Nucleus sampling (Holtzman et al. 2020) with a generator of its own for each row.

    Leaves one token possible in each row, so that greedy search takes it. Sampling as
    transformers has it draws all rows from one global generator: a text's paraphrase would
    depend on the batch.

    Args:
        top_p: Tokens are drawn from the smallest set of likeliest ones that together have
            this probability, in proportion to their probabilities.
        randoms: One generator for each row of the batch.
    """

    def __init__(self, top_p: float, randoms: Sequence[Random]) -> None:
        self._top_p = top_p
        self._randoms = randoms

    def __call__(
        self,
        input_ids: torch.Tensor,  # noqa: ARG002 -- the drawn token depends on the scores only
        scores: torch.Tensor,
    ) -> torch.Tensor:
        """Logits [n, vocabulary] to 0 for the drawn token and minus infinity for all others.

        Raises:
            NonFiniteError: A logit is NaN.
        """
        if scores.isnan().any():
            raise NonFiniteError(
                "the model's outputs are not finite",
                where="model",
                found="NaN",
                expected="finite logits",
                next="check the model's weights",
            )
        probabilities, tokens = scores.double().softmax(-1).sort(descending=True, stable=True)
        mass = probabilities.cumsum(-1)
        last = (mass < self._top_p).sum(-1, keepdim=True).clamp(max=mass.shape[-1] - 1)
        drawn = [[random.random()] for random in self._randoms]
        point = torch.tensor(drawn, dtype=mass.dtype, device=mass.device) * mass.gather(-1, last)
        # The first place up to which there is more mass than the point.
        place = torch.searchsorted(mass, point, right=True).minimum(last)
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens.gather(-1, place), 0.0)


class ModelParaphrases:
    """A model that writes a paraphrase of any text: always the same one of the same text.

    What is drawn depends on the seed and the text only. The rounding of the model's arithmetic
    depends on the batch, too, which can matter where two tokens are all but equally likely.

    Args:
        folder: As transformers writes it: configuration, safetensors, tokenizer.
        prefix: What stands before each text.
        top_p: See `NucleusSampler`.
        max_tokens: The most tokens of a text that are read, and of a paraphrase.
        seed: Decides what is drawn.

    Raises:
        InputError: The folder does not hold a seq2seq model with its tokenizer.
    """

    def __init__(
        self, folder: Path, *, prefix: str, top_p: float, max_tokens: int, seed: int
    ) -> None:
        require_model(folder)
        with reading(folder):
            config = AutoConfig.from_pretrained(str(folder), **LOCAL)
        if not config.is_encoder_decoder:
            raise InputError(
                "the model does not turn texts into texts",
                where=f"model: {folder}",
                found=f"an architecture without encoder or decoder ({config.model_type})",
                expected="a seq2seq model, such as T5 or BART",
                next="name another model, or make files of paraphrases and set train and test",
            )
        with reading(folder):
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), **LOCAL)
            model, report = AutoModelForSeq2SeqLM.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **LOCAL,
            )
        missing = sorted(report["missing_keys"])
        if missing or self._tokenizer.pad_token_id is None:
            raise InputError(
                "the model is not complete",
                where=f"model: {folder}",
                found=f"{len(missing)} missing tensors, for instance {missing[0]}"
                if missing
                else "a tokenizer without a padding token",
                expected="all weights, and a tokenizer with a padding token",
                next="save model and tokenizer anew with `save_pretrained` of transformers",
            )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.eval().to(self._device)
        self._prefix = prefix
        self._top_p = top_p
        positions = getattr(config, "max_position_embeddings", None) or max_tokens
        self._max_tokens = min(max_tokens, positions)
        self._seeds = SeedStream(seed, ("paraphrase",))
        self._known: dict[str, str] = {}

    def texts(
        self,
        examples: Examples,
        task: Task,  # noqa: ARG002 -- files need it to compare labels
        field: str,
        rows: Sequence[int],
    ) -> Iterator[str]:
        """The paraphrases of the rows at these positions, in this order, written as needed."""
        column = examples.inputs[field]
        for start in range(0, len(rows), _GROUP):
            texts = [column[row] for row in rows[start : start + _GROUP]]
            self._write(texts)
            yield from (self._known[text] for text in texts)

    def _write(self, texts: Sequence[str]) -> None:
        new = sorted({text for text in texts if text not in self._known}, key=lambda t: (len(t), t))
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self._known.update(zip(batch, self._generate(batch), strict=True))

    def _generate(self, texts: Sequence[str]) -> list[str]:
        sampler = NucleusSampler(self._top_p, [self._seeds.child(text).random() for text in texts])
        with torch.inference_mode(), quietly():
            inputs = self._tokenizer(
                [self._prefix + text for text in texts],
                truncation=True,
                max_length=self._max_tokens,
                padding=True,
                padding_side="right",
                return_tensors="pt",
            )
            written = self._model.generate(
                input_ids=inputs["input_ids"].to(self._device),
                attention_mask=inputs["attention_mask"].to(self._device),
                max_new_tokens=self._max_tokens,
                # Greedy, of what the sampler leaves.
                do_sample=False,
                num_beams=1,
                num_return_sequences=1,
                logits_processor=[sampler],
            )
            return [
                text.strip()
                for text in self._tokenizer.batch_decode(written, skip_special_tokens=True)
            ]
