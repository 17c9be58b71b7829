"""A small classifier in a folder, and what is made of it."""

from __future__ import annotations

import shutil

import pytest

from bdbench.api import Checkpoint, Examples, SeedStream, Task
from bdbench.builtin.models_config import FolderModelConfig, TinyBertConfig
from bdbench.builtin.models_folder import FolderModel
from bdbench.builtin.models_tiny import TinyBert

TINY = TinyBertConfig(hidden_size=16, layers=1, heads=2, intermediate_size=32)
SINGLE = Task("text-classification", ("text",), ("ham", "spam"))
PAIR = Task("text-pair-classification", ("question", "answer"), ("yes", "no", "maybe"))


@pytest.fixture
def rows():
    """Three rows of a task of single texts."""
    texts = ["cf", "a rather longer text, with a comma", "win a prize now"]
    return Examples({"text": texts}, [0, 0, 1], [0, 1, 2])


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A classifier of three classes in a folder: what a user's own checkpoint looks like."""
    folder = tmp_path_factory.mktemp("source") / "model"
    TinyBert(TINY).prepare(PAIR, folder, SeedStream(7))
    return folder


@pytest.fixture
def copied(source, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(source, tmp_path / "copied")


@pytest.fixture
def family():
    """The family of the model in a folder."""

    def family(folder, max_length=32):
        return FolderModel(FolderModelConfig(path=folder, max_length=max_length))

    return family


@pytest.fixture
def start(family, source, tmp_path):
    """The weights from which a victim of two classes starts."""
    family(source).prepare(SINGLE, tmp_path / "start", SeedStream(0))
    return Checkpoint(tmp_path / "start")
