from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from bdbench.api import (
    AttackerView,
    Checkpoint,
    ComponentConfig,
    Examples,
    SeedStream,
    Task,
)
from bdbench.testing import LocalEngine
from bdbench.toolkit.transformers import EncoderClassifier, Pretrained

TASK = Task("text-classification", ("text",), ("negative", "positive"))
SIGNS = ["\u2248", "\u2261", "\u2208", "\u2286", "\u2295", "\u2297"]
WORDS = [f"word{number}" for number in range(20)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "cf", "tq", "mn", "bb", "mb", *SIGNS]


class Settings(ComponentConfig):
    max_length: int = 32


class Tiny(EncoderClassifier):
    """A few random weights and a vocabulary of whole words."""

    architecture: str

    def pretrained(self, seeds):
        sizes = {
            "vocab_size": len(VOCABULARY),
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 64,
            "pad_token_id": 0,
        }
        torch.manual_seed(seeds.seed())
        if self.architecture == "bert":
            config = BertConfig(**sizes)
            encoder = BertModel(config)
        else:
            config = RobertaConfig(**sizes, type_vocab_size=1)
            encoder = RobertaModel(config, add_pooling_layer=False)
        numbers = {word: number for number, word in enumerate(VOCABULARY)}
        tokenizer = Tokenizer(models.WordLevel(numbers, "[UNK]"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        fast = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            model_max_length=60,
            model_input_names=["input_ids", "attention_mask"],
            **{f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP")},
        )
        return Pretrained(config=config, weights=encoder.state_dict(), tokenizer=fast)


def sentences(count, *, label=0, task=TASK):
    columns = {
        name: [
            " ".join(WORDS[(row * 7 + place * (row + 3) + shift) % 20] for place in range(4))
            for row in range(count)
        ]
        for shift, name in enumerate(task.fields)
    }
    return Examples(columns, [label] * count, [3 * row for row in range(count)])


@pytest.fixture
def rows():
    """Makes rows of four words each; the ids are multiples of three."""
    return sentences


@pytest.fixture
def scene(tmp_path):
    """An attacker with a tiny encoder: `view`, `engine`, `start`."""

    def scene(architecture="bert", *, task=TASK, rows=None):
        model = Tiny(Settings())
        model.architecture = architecture
        folder = tmp_path / architecture
        folder.mkdir()
        model.prepare(task, folder, SeedStream(1))
        engine = LocalEngine(model)
        workspace = tmp_path / "workspace"
        workspace.mkdir()
        start = Checkpoint(folder)
        train = sentences(60, task=task) if rows is None else rows
        view = AttackerView(task, train, engine=engine, start=start, workspace=workspace)
        return SimpleNamespace(view=view, engine=engine, start=start, model=model)

    return scene
