"""Merges two checkpoints of a billion bf16 parameters: `merge` against mergekit's `linear`.

Whole processes on the same files, interleaved, imports and everything else included. Both are
given equal weights and write the same tensors, compared element for element afterwards.

mergekit pins what it needs, so it wants an environment of its own::

    python -m venv mergekit-env
    mergekit-env/bin/pip install mergekit==0.1.5 torch==2.13.0 transformers==5.23.0
    python benchmarks/merging.py mergekit-env/bin/mergekit-yaml

Needs 9 GB of disk below ``--folder``, and as much memory again for the page cache if the disk is
not to be what is timed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HIDDEN, INNER, LAYERS, KEYS, VOCABULARY = 2048, 5632, 20, 256, 32_000
SHARDS = 4
SHARD_PARAMETERS = 250_000_000  # mergekit's unit for the size of its shards
POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Measured:
    """One process, from its start to its end. Memory in MiB."""

    wall: float
    cpu: float
    anonymous: float
    resident: float


def shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        for part, rows in (("q", HIDDEN), ("k", KEYS), ("v", KEYS), ("o", HIDDEN)):
            yield f"{block}.self_attn.{part}_proj.weight", (rows, HIDDEN)
        for part in ("gate", "up"):
            yield f"{block}.mlp.{part}_proj.weight", (INNER, HIDDEN)
        yield f"{block}.mlp.down_proj.weight", (HIDDEN, INNER)
        for part in ("input", "post_attention"):
            yield f"{block}.{part}_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)


def write_model(folder: Path, seed: int) -> int:
    """A sharded checkpoint of random weights with the shapes of a Llama; returns its size."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    draw = torch.Generator().manual_seed(seed)
    planned = list(shapes())
    each = -(-len(planned) // SHARDS)
    places: dict[str, str] = {}
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        part = planned[shard * each : (shard + 1) * each]
        tensors = {
            key: torch.randn(shape, generator=draw).mul_(0.02).bfloat16() for key, shape in part
        }
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, name)
    size = sum(math.prod(shape) for _, shape in planned)
    index = {"metadata": {"total_size": 2 * size}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return size


def merge(victim: Path, reference: Path, workspace: Path) -> None:
    """What `bdbench defend` and a suite run for ``merge``: the process that is timed."""
    from bdbench.api import Checkpoint, DefenderView, SeedStream, Task
    from bdbench_defense_merge.config import MergeConfig
    from bdbench_defense_merge.hooks import MERGE
    from bdbench_defense_merge.merge import Merge

    workspace.mkdir()
    config = MergeConfig()
    view = DefenderView(
        defense="merge",
        needs=config.needs(MERGE.needs),
        task=Task("text-generation", ("text",)),
        seeds=SeedStream(0),
        workspace=workspace,
        engine=None,  # type: ignore[arg-type]  # the mean asks nothing of it
        references=[Checkpoint(reference)],
    )
    Merge(config).repair(Checkpoint(victim), view)


def measure(command: list[str], log: Path) -> Measured:
    """Runs a command; what an earlier one has still to write to the disk is waited for first."""
    os.sync()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    with log.open("w", encoding="utf-8") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        peaks = {"RssAnon": 0, "VmRSS": 0}
        while True:
            ended, code, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            # Not `ru_maxrss`, which a child inherits from the process that started it.
            for line in Path(f"/proc/{process.pid}/status").read_text("ascii").splitlines():
                key, _, value = line.partition(":")
                if key in peaks:
                    peaks[key] = max(peaks[key], int(value.split()[0]))
            time.sleep(POLL_SECONDS)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{log.read_text('utf-8')[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(wall, cpu, peaks["RssAnon"] / 1024, peaks["VmRSS"] / 1024)


def differences(one: Path, other: Path) -> tuple[int, int]:
    """How many tensors both have, and how many elements differ; refuses differing names."""
    import torch
    from safetensors import safe_open

    def places(folder: Path) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in folder.glob("*.safetensors"):
            with safe_open(path, framework="pt") as file:
                found |= dict.fromkeys(file.keys(), path)
        return found

    ours, theirs = places(one), places(other)
    if ours.keys() != theirs.keys():
        sys.exit(f"different tensors: {sorted(ours.keys() ^ theirs.keys())}")
    differing = 0
    for name in ours:
        pair = []
        for path in (ours[name], theirs[name]):
            with safe_open(path, framework="pt") as file:
                pair.append(file.get_tensor(name))
        if pair[0].dtype != pair[1].dtype or pair[0].shape != pair[1].shape:
            sys.exit(f"different types or shapes of {name}")
        if not torch.equal(*pair):
            differing += int((pair[0] != pair[1]).sum())
    return len(ours), differing


def report(results: dict[str, list[Measured]]) -> None:
    print(f"\n{'':10}{'wall s':>22}{'CPU s':>9}{'peak RssAnon':>14}{'peak RSS':>10}")
    for name, runs in results.items():
        walls = [run.wall for run in runs]
        spread = f"{statistics.median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f})"
        cpu = statistics.median(run.cpu for run in runs)
        anonymous = max(run.anonymous for run in runs)
        resident = max(run.resident for run in runs)
        print(f"{name:10}{spread:>22}{cpu:9.2f}{anonymous:10.0f} MiB{resident:6.0f} MiB")
    ratios = [
        theirs.wall / ours.wall
        for ours, theirs in zip(results["bdbench"], results["mergekit"], strict=True)
    ]
    print(
        f"mergekit takes {statistics.median(ratios):.2f} times as long"
        f" (median of {len(ratios)} pairs, {min(ratios):.2f}-{max(ratios):.2f})"
    )


def compare(mergekit: Path, rounds: int, room: Path) -> None:
    models = [room / "victim", room / "reference"]
    sizes = [write_model(model, seed) for seed, model in enumerate(models)]
    print(f"two models of {sizes[0] / 1e6:.0f} million bf16 parameters, {SHARDS} shards each")
    recipe = room / "linear.yml"
    listed = [{"model": str(model), "parameters": {"weight": 1.0}} for model in models]
    recipe.write_text(json.dumps({"merge_method": "linear", "models": listed}), "utf-8")
    outputs = {"bdbench": room / "ours", "mergekit": room / "theirs"}
    commands = {
        "bdbench": [sys.executable, __file__, "--merge", *map(str, models), str(room / "ours")],
        "mergekit": [
            *(str(mergekit), str(recipe), str(room / "theirs"), "--quiet"),
            *("--no-copy-tokenizer", "--no-write-model-card"),
            *("--out-shard-size", str(SHARD_PARAMETERS)),
        ],
    }
    results: dict[str, list[Measured]] = {name: [] for name in commands}
    for number in range(1, rounds + 1):
        for name, command in commands.items():
            if outputs[name].exists():
                shutil.rmtree(outputs[name])
            measured = measure(command, room / f"{name}.log")
            results[name].append(measured)
            print(
                f"round {number} {name:9} {measured.wall:6.2f} s wall {measured.cpu:6.2f} s CPU"
                f" {measured.anonymous:5.0f} MiB anonymous",
                flush=True,
            )
    report(results)
    tensors, differing = differences(room / "ours" / "model", room / "theirs")
    print(f"{tensors} tensors compared, {differing} of {sizes[0]} elements differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mergekit", type=Path, nargs="?", help="the program mergekit-yaml")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where to make the files; a temporary folder")
    parser.add_argument("--merge", type=Path, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.merge:
        merge(*given.merge)
    elif given.mergekit is None:
        parser.error("name the program mergekit-yaml")
    else:
        with tempfile.TemporaryDirectory(dir=given.folder) as room:
            compare(given.mergekit, given.rounds, Path(room))


if __name__ == "__main__":
    main()
