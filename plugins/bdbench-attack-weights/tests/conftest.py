from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from bdbench.api import AttackerView, Checkpoint, Examples, Recipe, SeedStream, Task
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


class LocalEngine:
    """What the host lends, in its plainest form; remembers what it was asked for."""

    def __init__(self, family):
        self.family = family
        self.fine_tunings = []
        self.steps = []

    def load(self, checkpoint):
        return self.family.load(checkpoint)

    def save(self, module, like, folder):
        folder.mkdir(parents=True)
        self.family.save(module, like, folder)
        return Checkpoint(folder)

    def predict(self, module, like, rows):
        inputs = self.family.collate(self.family.encode(rows, like))
        with torch.inference_mode():
            columns = self.family.read(self.family.forward(module.eval(), inputs))
        return {name: column.numpy() for name, column in columns.items()}

    def batches(self, like, rows, batch_size, seeds):
        order = list(range(len(rows)))
        seeds.random().shuffle(order)
        for start in range(0, len(order), batch_size):
            batch = rows.select(order[start : start + batch_size])
            yield self.family.collate(self.family.encode(batch, like)), batch.labels

    def loss(self, module, inputs, labels):
        return self.family.loss(self.family.forward(module, inputs), labels)

    def forward(self, call, rows):
        return call()

    def step(self, optimizer, loss, rows, max_norm):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, max_norm)
        optimizer.step()
        self.steps.append((loss.item(), rows))

    def fine_tune(self, module, like, rows, recipe, seeds, penalty=None, objective=None):
        self.fine_tunings.append(SimpleNamespace(rows=rows, recipe=recipe, seeds=seeds))
        optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate)
        module.train()
        with seeded(seeds.child("dropout").seed()):
            for epoch in range(recipe.epochs):
                order = seeds.child("order", epoch)
                for inputs, labels in self.batches(like, rows, recipe.batch_size, order):
                    losses = (
                        self.loss(module, inputs, labels)
                        if objective is None
                        else objective(module, inputs, labels)
                    )
                    assert losses.shape == (len(labels),)
                    loss = losses.mean() + (penalty(module) if penalty else 0)
                    self.step(optimizer, loss, len(labels), recipe.max_grad_norm)
        module.eval()


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
