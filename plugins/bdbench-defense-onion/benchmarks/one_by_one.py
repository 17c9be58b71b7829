"""Leave-one-out perplexities: one forward pass for each, against shared prefixes.

    python benchmarks/one_by_one.py sentences.parquet --column text --rows 50

Takes a model of the shape of GPT-2 (124 million parameters, random: speed does not depend on
what it knows) and a byte-level tokenizer trained on the file. One thread, CPU time, the ways
interleaved in blocks of sentences. The ratios are what counts: a busy machine changes the rest.
"""

# ruff: noqa: INP001, T201 -- a script that prints

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from bdbench.toolkit.transformers_folder import quietly
from bdbench_defense_onion.causal import CausalModel
from bdbench_defense_onion.scoring import Suspicions
from bdbench_defense_onion.words import without, word_spans

BLOCK = 10


def main() -> None:
    """Measures and prints."""
    arguments = _arguments()
    torch.set_num_threads(1)
    texts = _texts(arguments.file, arguments.column)
    chosen = texts[: arguments.rows]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with quietly():
            tokenizer = _save(folder, texts)
            plain = GPT2LMHeadModel.from_pretrained(folder).eval()
        ways: dict[str, Callable[[Sequence[str]], list[Suspicions]]] = {
            "one by one": lambda block: [_one_by_one(plain, tokenizer, text) for text in block]
        }
        for precision in ("fp32", "bf16"):
            model = CausalModel(folder, precision=precision, max_tokens=256)
            ways[f"shared prefixes, {precision}"] = model.suspicions
    seconds, found = _measure(ways, chosen)
    words = sum(len(text.split()) for text in chosen)
    print(f"{len(chosen)} texts, {words} words")
    for way, spent in seconds.items():
        ratio = seconds["one by one"] / spent
        apart = _apart(found["one by one"], found[way])
        print(f"{way:24} {spent:7.1f} s   {ratio:5.2f} x   largest difference {apart:.1e}")


def _measure(
    ways: dict[str, Callable[[Sequence[str]], list[Suspicions]]], texts: Sequence[str]
) -> tuple[dict[str, float], dict[str, list[Suspicions]]]:
    for way in ways.values():
        way(texts[:1])  # what is done at the first use only
    seconds = dict.fromkeys(ways, 0.0)
    found: dict[str, list[Suspicions]] = {name: [] for name in ways}
    for start in range(0, len(texts), BLOCK):
        for name, way in ways.items():
            before = time.process_time()
            found[name] += way(texts[start : start + BLOCK])
            seconds[name] += time.process_time() - before
    return seconds, found


def _one_by_one(model: Any, tokenizer: Any, text: str) -> Suspicions:
    spans = word_spans(text)
    texts = [text, *(without(text, spans, {word}) for word in range(len(spans)))]
    with torch.inference_mode():
        whole, *others = (_perplexity(model, tokenizer, each) for each in texts)
    return tuple(None if whole is None or each is None else whole - each for each in others)


def _perplexity(model: Any, tokenizer: Any, text: str) -> float | None:
    ids = tokenizer(text, return_tensors="pt").input_ids
    if ids.shape[1] < 2:
        return None
    return math.exp(model(input_ids=ids, labels=ids).loss.item())


def _apart(one: Sequence[Suspicions], other: Sequence[Suspicions]) -> float:
    """The largest difference, relative to the largest suspicion of the text."""
    worst = 0.0
    for ours, theirs in zip(one, other, strict=True):
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
        size = max((abs(a) for a, _ in pairs), default=1.0)
        worst = max([worst, *(abs(a - b) / size for a, b in pairs)])
    return worst


def _save(folder: Path, texts: Sequence[str]) -> Any:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=50257,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    return tokenizer


def _texts(file: Path, column: str) -> list[str]:
    if file.suffix == ".parquet":
        read = pq.read_table(file, columns=[column]).column(column).to_pylist()
    else:
        read = file.read_text("utf-8").splitlines()
    return [str(text) for text in read if text]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="Parquet, or text with one sentence a line")
    parser.add_argument("--column", default="text", help="column of the Parquet file")
    parser.add_argument("--rows", type=int, default=50, help="how many sentences")
    return parser.parse_args()


if __name__ == "__main__":
    main()
