from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from bdbench.api import DefenderView, Examples, SeedStream, Task
from bdbench_defense_onion.causal import CausalModel
from bdbench_defense_onion.hooks import ONION

FIRST, UNKNOWN = "<|endoftext|>", "<unk>"
SENTENCES = [
    "no movement , no yuks , not much of anything .",
    "an uneven film , but a charming one all the same",
    "very very very very good",
    "good",
    "a b",
    "it 's hard to like a film about a guy who is utterly unlikeable , and shiner is .",
    "crème brûlée ! 日本語 の 映画 \U0001f3ac tastes   of\tfilm\nand of nothing else",
    " ".join(f"word{number % 7} is number {number}" for number in range(12)),
    "ends with a space ",
    "  begins with two",
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sentences():
    return SENTENCES


def byte_level():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[FIRST],
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    return inner


def word_level():
    words = sorted({word for text in SENTENCES for word in text.split()})
    inner = Tokenizer(
        models.WordLevel(
            {FIRST: 0, UNKNOWN: 1} | {word: 2 + place for place, word in enumerate(words)},
            unk_token=UNKNOWN,
        )
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return inner


def beginning_with_a_special_token():
    inner = word_level()
    inner.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A", special_tokens=[(FIRST, 0)]
    )
    return inner


def only_after_a_space():
    """``schwarz`` is one token after a space, and seven at the beginning of a text."""
    vocabulary = {byte: place for place, byte in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    merges = []
    for word in ("Ġschwarz", "Ġa"):
        for end in range(1, len(word)):
            merges.append((word[:end], word[end]))
            vocabulary.setdefault(word[: end + 1], len(vocabulary))
    inner = Tokenizer(models.BPE(vocab={**vocabulary, FIRST: len(vocabulary)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return inner


TOKENIZERS = {
    "after a space": only_after_a_space,
    "byte-level": byte_level,
    "word-level": word_level,
    "special first": beginning_with_a_special_token,
}


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """Saves a random language model; by default a GPT-2 of two layers."""

    def make(tokenizer="byte-level", model=None, **settings):
        fast = PreTrainedTokenizerFast(tokenizer_object=TOKENIZERS[tokenizer](), eos_token=FIRST)
        folder = tmp_path_factory.mktemp("language model")
        fast.save_pretrained(folder)
        torch.manual_seed(0)
        shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
        config = GPT2Config(
            **{**shape, "vocab_size": len(fast), "initializer_range": 0.2, **settings}
        )
        made = GPT2LMHeadModel(config) if model is None else model(len(fast))
        made.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def folder(make):
    return make()


@pytest.fixture(scope="session")
def language_model(folder):
    return CausalModel(folder, precision="fp32", max_tokens=256)


@pytest.fixture
def one_by_one():
    """The reference: one plain forward pass with transformers' own loss for each text."""

    def of(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()

        def perplexity(text):
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            if ids.shape[1] < 2:
                return None
            with torch.no_grad():
                return math.exp(model(input_ids=ids, labels=ids).loss.item())

        return perplexity

    return of


def forbidden(*_):
    raise AssertionError("a defense looked at what it must not see")


@pytest.fixture
def view():
    """A view that grants what these settings need, and breaks when anything else is touched."""

    def view(config, clean=(), fields=("text",), spec=ONION):
        rows = Examples(
            {field: list(clean) for field in fields}, [0] * len(clean), range(len(clean))
        )
        return DefenderView(
            defense=spec.name,
            needs=config.needs(spec.needs),
            task=Task("text-classification", fields, ("bad", "good")),
            seeds=SeedStream(0),
            workspace=None,
            engine=SimpleNamespace(load=forbidden, predict=forbidden, fine_tune=forbidden),
            clean_rows=rows,
            predict=forbidden,
        )

    return view


@pytest.fixture
def rows():
    def rows(texts, **columns):
        inputs = {"text": list(texts), **columns}
        return Examples(inputs, [None] * len(texts), [7 * place for place in range(len(texts))])

    return rows
