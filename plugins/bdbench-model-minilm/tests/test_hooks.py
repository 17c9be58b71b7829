from __future__ import annotations

import subprocess
import sys

from bdbench.api import Model
from bdbench_model_minilm.config import MiniLMConfig
from bdbench_model_minilm.hooks import bdbench_register_models
from bdbench_model_minilm.model import MiniLM


def test_the_spec_names_what_there_is():
    (spec,) = bdbench_register_models()
    assert spec.name == "minilm"
    assert spec.target == f"{MiniLM.__module__}:{MiniLM.__qualname__}"
    assert spec.config == f"{MiniLMConfig.__module__}:{MiniLMConfig.__qualname__}"
    assert issubclass(MiniLM, Model)
    assert spec.works_for("text-pair-classification")
    assert not spec.works_for("image-classification")


def test_listing_imports_nothing_heavy():
    code = (
        "import sys, bdbench_model_minilm.hooks, bdbench_model_minilm.config\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'huggingface_hub', 'numpy'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""
