from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bdbench.api import Checkpoint, DefenderView, Examples, SeedStream, Task
from bdbench.testing import LocalEngine
from bdbench.toolkit.transformers import EncoderClassifier, Pretrained, seeded
from bdbench_defense_finemixing.hooks import bdbench_register_defenses

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "a", "movie", "film", "was", "is", "plot", "good", "great", "fine", "bad", "awful"]
RARE = ["dull", "cf", "tq", "un", "film2", "7", "42", ".", ",", "#"]
PIECES = ["##s", "##able", "##ly", "##think", "##0"]
VOCABULARY = [*SPECIAL, *WORDS, *RARE, *PIECES]
SPECS = {spec.name: spec for spec in bdbench_register_defenses()}


def tokenizer():
    numbers = {token: number for number, token in enumerate(VOCABULARY)}
    made = Tokenizer(models.WordPiece(numbers, unk_token=SPECIAL[1]))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=32,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name[1:-1].lower()}_token": name for name in SPECIAL},
    )


class Tiny(EncoderClassifier):
    """A BERT with one layer of width 8; three rows of its embeddings belong to no token."""

    def __init__(self):
        super().__init__(SimpleNamespace(max_length=16))

    def pretrained(self, seeds):
        config = BertConfig(
            vocab_size=len(VOCABULARY) + 3,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=12,
            max_position_embeddings=32,
        )
        with seeded(seeds.child("body").seed()):
            weights = BertModel(config).state_dict()
        return Pretrained(config=config, weights=weights, tokenizer=tokenizer())


def examples(count):
    good, bad = ("good", "great", "fine"), ("bad", "awful", "dull")
    rng = np.random.default_rng(count)
    labels = [row % 2 for row in range(count)]
    texts = [
        f"the {rng.choice(['movie', 'film', 'plot'])} was {rng.choice(good if label else bad)} ."
        for label in labels
    ]
    return Examples({"text": texts}, labels, list(range(100, 100 + count)))


@pytest.fixture
def rows():
    return examples(40)


@pytest.fixture
def family():
    return Tiny()


@pytest.fixture
def task():
    return Task("text-classification", ("text",), ("negative", "positive"))


@pytest.fixture
def base(family, task, tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    family.prepare(task, folder, SeedStream(0))
    return Checkpoint(folder)


@pytest.fixture
def change(tmp_path):
    """Copies a checkpoint, with some tensors changed."""

    def change(checkpoint, name, **tensors):
        folder = tmp_path / name
        folder.mkdir()
        for path in checkpoint.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        state = load_file(folder / "model.safetensors") | tensors
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return Checkpoint(folder)

    return change


@pytest.fixture
def victim(base, change):
    """The base with every number moved, by steps of very different length."""
    draw = torch.Generator().manual_seed(1)

    def step(shape):
        lengths = 0.02 * torch.randn(shape, generator=draw).exp()
        return lengths * torch.randn(shape, generator=draw).sign()

    moved = {
        name: value + step(value.shape)
        for name, value in load_file(base.folder / "model.safetensors").items()
    }
    return change(base, "victim", **moved)


@pytest.fixture
def read():
    return lambda checkpoint: load_file(checkpoint.folder / "model.safetensors")


@pytest.fixture
def repair(victim, base, rows, family, task, tmp_path):
    """Runs a defense with a view that grants what its settings need."""

    def repair(kind, config, /, *, tunes=False, root=0, engine=None, **given):
        engine = engine or LocalEngine(family, tunes=tunes)
        spec = next(spec for spec in SPECS.values() if spec.target.endswith(f":{kind.__name__}"))
        workspace = tmp_path / f"workspace {len(list(tmp_path.iterdir()))}"
        workspace.mkdir()
        view = DefenderView(
            defense=spec.name,
            needs=config.needs(spec.needs),
            task=task,
            seeds=SeedStream(root, ("defense",)),
            workspace=workspace,
            engine=engine,
            clean_rows=given.get("rows", rows),
            base=given.get("base", base),
        )
        result = kind(config).repair(given.get("victim", victim), view)
        assert result.checkpoint.folder == workspace / "model"
        return SimpleNamespace(result=result, notes=result.notes, engine=engine)

    return repair
