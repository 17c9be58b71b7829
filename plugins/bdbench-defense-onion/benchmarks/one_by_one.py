"""Leave-one-out perplexities: one forward pass for each, against shared prefixes.

    python benchmarks/one_by_one.py sentences.parquet --column text --rows 50

Takes a model of the shape of GPT-2 (124 million parameters, random: speed does not depend on
what it knows) and a byte-level tokenizer trained on the file. One thread, CPU time, the ways
interleaved in blocks of sentences. The ratios are what counts: a busy machine changes the rest.
"""

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
from bdbench.toolkit.words import word_spans
from bdbench_defense_onion.causal import CausalModel
from bdbench_defense_onion.scoring import Verdict
from bdbench_defense_onion.words import without

BLOCK = 10
END = "<|endoftext|>"


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
            plain: Any = GPT2LMHeadModel.from_pretrained(folder)
            plain.eval()
        reference = OneByOne(plain, tokenizer)
        ways: dict[str, Callable[[Sequence[str]], list[Verdict]]] = {"one by one": reference.judge}
        for precision in ("fp32", "bf16"):
            model = CausalModel(folder, precision=precision, max_tokens=256)
            ways[f"shared prefixes, {precision}"] = model.judge
        seconds, found = _measure(ways, chosen)
    print(f"{len(chosen)} texts, {sum(len(text.split()) for text in chosen)} words")
    for way, spent in seconds.items():
        ratio = seconds["one by one"] / spent
        apart = reference.apart(chosen, found[way])
        print(f"{way:24} {spent:7.1f} s   {ratio:5.2f} x   furthest apart {apart:.1e}")


class OneByOne:
    """Transformers' own loss for one text after the other.

    Args:
        model: In fp32.
        tokenizer: Of the model.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.known: dict[str, tuple[float, Verdict]] = {}

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """The suspicion of each word."""
        for text in texts:
            spans = word_spans(text)
            shorter = [without(text, spans, {word}) for word in range(len(spans))]
            with torch.inference_mode():
                whole, *others = (self._perplexity(each) for each in (text, *shorter))
            scores = tuple(None if math.isnan(each) else whole - each for each in others)
            self.known[text] = whole, Verdict(scores)
        return [self.known[text][1] for text in texts]

    def apart(self, texts: Sequence[str], found: Sequence[Verdict]) -> float:
        """The largest difference from these scores, relative to the text's perplexity."""
        pairs = (
            (ours, theirs, self.known[text][0])
            for text, verdict in zip(texts, found, strict=True)
            for ours, theirs in zip(self.known[text][1].scores, verdict.scores, strict=True)
        )
        return max(abs(a - b) / whole for a, b, whole in pairs if a is not None and b is not None)

    def _perplexity(self, text: str) -> float:
        ids = self.tokenizer(text, return_tensors="pt").input_ids
        return (
            math.exp(self.model(input_ids=ids, labels=ids).loss) if ids.shape[1] > 1 else math.nan
        )


def _measure(
    ways: dict[str, Callable[[Sequence[str]], list[Verdict]]], texts: Sequence[str]
) -> tuple[dict[str, float], dict[str, list[Verdict]]]:
    for way in ways.values():
        way(texts[:1])  # what is done at the first use only
    seconds = dict.fromkeys(ways, 0.0)
    found: dict[str, list[Verdict]] = {name: [] for name in ways}
    for start in range(0, len(texts), BLOCK):
        for name, way in ways.items():
            before = time.process_time()
            found[name] += way(texts[start : start + BLOCK])
            seconds[name] += time.process_time() - before
    return seconds, found


def _save(folder: Path, texts: Sequence[str]) -> Any:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=50257,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END],
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner, eos_token=END
    )
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
