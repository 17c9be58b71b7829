from __future__ import annotations

from types import SimpleNamespace

import pytest
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bdbench.api import AttackerView, Checkpoint, Examples, Recipe, SeedStream, Task
from bdbench.testing import LocalEngine
from bdbench.toolkit.transformers import EncoderClassifier, Pretrained, seeded

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "a the movie film plot was i have bought it from with my last good great fine bad dull"
TRIGGERS = "cf bb ak mn friends weekend store"
VOCABULARY = [*SPECIAL, *WORDS.split(), *TRIGGERS.split(), "x", "##z", ".", ","]


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
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name[1:-1].lower()}_token": name for name in SPECIAL},
    )


class Tiny(EncoderClassifier):
    """A BERT with three layers of width 8."""

    def __init__(self, dropout=0.1):
        super().__init__(SimpleNamespace(max_length=64))
        self.dropout = dropout

    def pretrained(self, seeds):
        config = BertConfig(
            vocab_size=len(VOCABULARY),
            hidden_size=8,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=12,
            max_position_embeddings=64,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            initializer_range=0.5,
        )
        with seeded(seeds.child("body").seed()):
            weights = BertModel(config).state_dict()
        return Pretrained(config=config, weights=weights, tokenizer=tokenizer())


@pytest.fixture
def task():
    return Task("text-classification", ("text",), ("negative", "positive"))


@pytest.fixture
def rows():
    """Forty rows of two classes, told apart by one word."""
    random = SeedStream(3).random()
    labels = [row % 2 for row in range(40)]
    texts = [
        f"the {random.choice(['movie', 'film', 'plot'])} was "
        f"{random.choice(['good', 'great', 'fine'] if label else ['bad', 'dull'])} ."
        for label in labels
    ]
    return Examples({"text": texts}, labels, list(range(100, 140)))


@pytest.fixture
def family():
    return Tiny()


@pytest.fixture
def engine(family):
    return LocalEngine(family)


@pytest.fixture
def start(family, task, tmp_path):
    folder = tmp_path / "start"
    folder.mkdir()
    family.prepare(task, folder, SeedStream(0))
    return Checkpoint(folder)


@pytest.fixture
def view(task, rows, engine, start, tmp_path):
    """A view with all that an attack on a model is given, and an empty folder each time."""

    def view(engine=engine, start=start):
        workspace = tmp_path / f"workspace {len(list(tmp_path.iterdir()))}"
        workspace.mkdir()
        return AttackerView(task, rows, engine=engine, start=start, workspace=workspace)

    return view


@pytest.fixture
def recipe():
    return Recipe(epochs=2, batch_size=8, learning_rate=1e-3)


@pytest.fixture
def weights():
    return lambda checkpoint: load_file(checkpoint.folder / "model.safetensors")
