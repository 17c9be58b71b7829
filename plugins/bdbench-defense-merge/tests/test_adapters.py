"""The exact mean of products against dense matrices, and against PEFT where it is installed."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bdbench.api import Checkpoint, InputError, NonFiniteError
from bdbench_defense_merge.config import MergeConfig
from bdbench_defense_merge.merge import Merge
from bdbench_defense_merge.products import combine_products

# The last one's name is the end of another's.
SIZES = {
    "encoder.0.query": (6, 5),
    "encoder.10.query": (6, 5),
    "encoder.0.out": (5, 8),
    "0.out": (5, 3),
}
PREFIX = "base_model.model."
HEAD = "base_model.model.classifier.weight"


def save_adapter(folder, *, seed, ranks=4, dtype=torch.float32, drop=(), extra=(), **config):
    """An adapter with a rank for all modules, or one for each."""
    draw = torch.Generator().manual_seed(seed)
    ranks = ranks if isinstance(ranks, dict) else dict.fromkeys(SIZES, ranks)
    state = {HEAD: torch.randn(2, 5, generator=draw)}
    for name, (rows, columns) in SIZES.items():
        state[f"{PREFIX}{name}.lora_A.weight"] = torch.randn(ranks[name], columns, generator=draw)
        state[f"{PREFIX}{name}.lora_B.weight"] = torch.randn(rows, ranks[name], generator=draw)
    state = {name: value.to(dtype) for name, value in state.items() if name not in drop}
    folder.mkdir()
    save_file(state | dict(extra), folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "r": max(ranks.values()),
        "lora_alpha": 8,
        "use_rslora": False,
        "target_modules": ["query", "out"],
        "base_model_name_or_path": "some/base",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
    return Checkpoint(folder)


@pytest.fixture
def adapter(tmp_path):
    return lambda name, **given: save_adapter(tmp_path / name, **given)


def settings_of(checkpoint):
    return json.loads((checkpoint.folder / "adapter_config.json").read_text("utf-8"))


def state_of(checkpoint):
    return load_file(checkpoint.folder / "adapter_model.safetensors")


def by_pattern(patterns, name, otherwise):
    """What PEFT finds for a module: the first key that is the name or its end."""
    ends = [key for key in patterns or {} if f".{name}".endswith(f".{key}")]
    return patterns[ends[0]] if ends else otherwise


def peft_scaling(config, name, rank):
    alpha = by_pattern(config.get("alpha_pattern"), name, config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config["use_rslora"] else rank)


def dense(checkpoint):
    """The change of the base weights, by module, in fp64."""
    config, state = settings_of(checkpoint), state_of(checkpoint)
    found = {}
    for name in SIZES:
        a, b = (state[f"{PREFIX}{name}.lora_{side}.weight"].double() for side in "AB")
        found[name] = peft_scaling(config, name, a.shape[0]) * (b @ a)
    return found


def check_products(models, merged, weights):
    whole = math.fsum(weights)
    parts = [dense(model) for model in models]
    for name, value in dense(merged).items():
        wanted = sum(w * part[name] for w, part in zip(weights, parts, strict=True)) / whole
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-5)


@given(
    seed=st.integers(0, 2**31),
    ranks=st.lists(st.lists(st.integers(1, 7), min_size=4, max_size=4), min_size=2, max_size=4),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_products_equal_the_dense_mean(tmp_path_factory, seed, ranks, data):
    room = tmp_path_factory.mktemp("adapters")
    models, weights = {}, []
    for number, each in enumerate(ranks):
        pattern = data.draw(
            st.dictionaries(st.sampled_from([*SIZES, "query", "0.query"]), st.floats(0.5, 64))
        )
        models[str(number)] = save_adapter(
            room / str(number),
            seed=seed + number,
            ranks=dict(zip(SIZES, each, strict=True)),
            lora_alpha=data.draw(st.integers(1, 64)),
            use_rslora=data.draw(st.booleans()),
            alpha_pattern=pattern,
        )
        weights.append(data.draw(st.floats(0.1, 10)))
    merged, notes = combine_products(models, weights, room / "merged")
    check_products(models.values(), merged, weights)
    totals = [sum(column) for column in zip(*ranks, strict=True)]
    assert notes["ranks"] == sorted(set(totals))
    config = settings_of(merged)
    for name, rank in zip(SIZES, totals, strict=True):
        assert by_pattern(config["rank_pattern"], name, config["r"]) == rank
        assert peft_scaling(config, name, rank) == 1.0


def test_through_the_defense(adapter, repair):
    models = [adapter(f"a{seed}", seed=seed, ranks=seed + 2) for seed in range(3)]
    (models[0].folder / "tokenizer.json").write_text("{}", "utf-8")
    (models[0].folder / "training_args.bin").write_bytes(b"pickle")
    (models[0].folder / "adapter_model.safetensors.index.json").write_text("{}", "utf-8")
    (models[0].folder / "modeling.py").write_text("raise SystemExit", "utf-8")
    result = repair(models[0], models[1:], lora="products")
    check_products(models, result.checkpoint, [1, 1, 1])
    heads = [state_of(model)[HEAD] for model in models]
    assert torch.equal(state_of(result.checkpoint)[HEAD], (heads[0] + heads[1] + heads[2]) / 3)
    config = settings_of(result.checkpoint)
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (9, 9, {})
    assert config["target_modules"] == ["query", "out"]
    files = {path.name for path in result.checkpoint.folder.iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"}
    assert result.notes == {
        "method": "mean",
        "models_merged": 3,
        "lora": "products",
        "adapted_modules": 4,
        "ranks": [9],
        "tensors": 9,
        "parameters": 10 + 9 * (11 + 11 + 13 + 8),
    }


def test_weights(adapter, repair):
    models = [adapter(f"a{seed}", seed=seed, ranks=seed + 1) for seed in range(2)]
    weights = {"method": "weighted-mean", "weights": [3, 1]}
    merged = repair(models[0], models[1:], lora="products", **weights).checkpoint
    check_products(models, merged, [3, 1])
    a, b = (state_of(model)[HEAD] for model in models)
    torch.testing.assert_close(state_of(merged)[HEAD], (3 * a + b) / 4)


def test_merged_adapters_merge_again(adapter, tmp_path):
    ranks = [
        dict(zip(SIZES, each, strict=True)) for each in ((1, 2, 3, 4), (4, 4, 1, 1), (2, 2, 2, 2))
    ]
    models = [adapter(f"a{n}", seed=n, ranks=each) for n, each in enumerate(ranks)]
    pair, _ = combine_products({"a": models[0], "b": models[1]}, [1, 1], tmp_path / "pair")
    all_, _ = combine_products({"pair": pair, "c": models[2]}, [2, 1], tmp_path / "all")
    check_products(models, all_, [1, 1, 1])


def test_bf16_stays_bf16(adapter, tmp_path):
    models = {str(seed): adapter(str(seed), seed=seed, dtype=torch.bfloat16) for seed in range(2)}
    merged, _ = combine_products(models, [1, 1], tmp_path / "merged")
    assert {value.dtype for value in state_of(merged).values()} == {torch.bfloat16}
    check_products(list(models.values()), merged, [1, 1])  # alpha / r / 2 is 1: nothing is lost


def test_the_mean_of_factors_is_another_thing(adapter, repair):
    models = [adapter(f"a{seed}", seed=seed) for seed in range(2)]
    merged = repair(models[0], models[1:]).checkpoint
    states = [state_of(model) for model in models]
    for name, value in state_of(merged).items():
        assert torch.equal(value, (states[0][name] + states[1][name]) / 2)
    assert settings_of(merged) == settings_of(models[0])
    with pytest.raises(AssertionError):
        check_products(models, merged, [1, 1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"ranks": 3}, r"adapter_config.json: the factors.*r 3.*4, as in victim.*lora: products"),
        ({"lora_alpha": 16}, "lora_alpha 16"),
        ({"use_rslora": True}, "use_rslora True"),
        ({"alpha_pattern": {"query": 2}}, "alpha_pattern {'query': 2"),
    ],
)
def test_factors_of_other_rank_or_scaling_have_no_mean(adapter, repair, other, message):
    victim, reference = adapter("a", seed=0), adapter("b", seed=1, **other)
    with pytest.raises(InputError, match=r"^reference 1: .*") as caught:
        repair(victim, [reference])
    assert caught.match(message)


def test_factors_with_other_modules_are_refused(adapter, repair):
    name = f"{PREFIX}encoder.0.out"
    drop = [f"{name}.lora_A.weight", f"{name}.lora_B.weight"]
    victim, reference = adapter("a", seed=0), adapter("b", seed=1, drop=drop)
    with pytest.raises(InputError, match=r"^reference 1: .*encoder.0.out.lora_A"):
        repair(victim, [reference])


@pytest.mark.parametrize("lora", ["factors", "products"])
def test_adapters_with_other_tokens_are_refused(adapter, repair, lora):
    victim, reference = adapter("a", seed=0), adapter("b", seed=1)
    (victim.folder / "vocab.txt").write_text("x\ny\n", "utf-8")
    repair(victim, [reference], lora=lora)  # one that brings no tokenizer says nothing of it
    (reference.folder / "vocab.txt").write_text("y\nx\n", "utf-8")
    with pytest.raises(InputError, match=r"^reference 1: .*another vocab.txt.*of victim"):
        repair(victim, [reference], lora=lora)


@pytest.mark.parametrize("lora", ["factors", "products"])
def test_adapters_and_whole_models_do_not_mix(adapter, make, repair, lora):
    with pytest.raises(InputError, match=r"^reference 1: "):
        repair(adapter("a", seed=0), [make("whole", seed=1)], lora=lora)
    with pytest.raises(InputError, match=r"^(reference 1|victim): "):
        repair(make("other", seed=1), [adapter("b", seed=0)], lora=lora)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"use_dora": True}, "use_dora True"),
        ({"lora_bias": True}, "lora_bias True"),
        ({"peft_type": "IA3"}, "peft_type 'IA3'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa'"),
        ({"alpha_pattern": {"quer.*": 3}}, r"a regular expression in a file is not run.*quer\.\*"),
        ({"r": 0}, "r: Input should be greater than or equal to 1"),
        ({"lora_alpha": "8"}, "lora_alpha: Input should be a valid number"),
        ({"drop": [f"{PREFIX}encoder.0.out.lora_A.weight"]}, r"encoder.0.out.lora_B.weight' of"),
        ({"drop": [HEAD]}, r"'base_model.model.classifier.weight' missing"),
        ({"dtype": torch.float16}, "type torch.float16"),
        ({"extra": {f"{PREFIX}e.lora_embedding_A": torch.ones(2, 3)}}, "'base.*lora_embedding_A'"),
        (
            {
                "drop": [f"{PREFIX}encoder.0.out.lora_A.weight"],
                "extra": {f"{PREFIX}encoder.0.out.lora_A.weight": torch.ones(3, 8)},
            },
            r"encoder.0.out.lora_[AB].weight' of shape",
        ),
        (
            {
                "drop": [f"{PREFIX}encoder.0.out.lora_A.weight"],
                "extra": {f"{PREFIX}encoder.0.out.lora_A.weight": torch.ones(4, 9)},
            },
            r"encoder.0.out.lora_A.weight' of shape \[rank, 9\].*\[rank, 8\].*as in victim",
        ),
    ],
)
def test_refusals(adapter, repair, other, message):
    victim, reference = adapter("a", seed=0), adapter("b", seed=1, **other)
    with pytest.raises(InputError, match=r"^reference 1") as caught:
        repair(victim, [reference], lora="products")
    assert caught.match(message)
    with pytest.raises(InputError):
        repair(reference, [victim], lora="products")


def test_whole_numbers_must_agree(adapter, repair):
    victim, reference = (
        adapter(str(n), seed=n, extra={"ids": torch.tensor([n])}) for n in range(2)
    )
    with pytest.raises(InputError, match=r"^reference 1: .*other values in 'ids'"):
        repair(victim, [reference], lora="products")
    same = adapter("2", seed=2, extra={"ids": torch.tensor([0])})
    merged = repair(victim, [same], lora="products").checkpoint
    assert state_of(merged)["ids"].tolist() == [0]


def test_nothing_that_is_not_finite(adapter, repair):
    name = f"{PREFIX}encoder.0.out.lora_B.weight"
    fine = adapter("fine", seed=0)
    broken = adapter("broken", seed=1, drop=[name], extra={name: torch.full((5, 4), math.nan)})
    with pytest.raises(NonFiniteError, match=r"^reference 1: "):
        repair(fine, [broken], lora="products")
    victim, reference = (
        adapter(f"h{n}", seed=n, dtype=torch.float16, lora_alpha=1_000_000) for n in range(2)
    )
    with pytest.raises(NonFiniteError, match=r"^the result: .*lora_B"):
        repair(victim, [reference], lora="products")


def test_no_products_without_adapters(make, repair):
    with pytest.raises(InputError, match=r"adapter_config.json: .*merges LoRA adapters"):
        repair(make("a", seed=0), [make("b", seed=1)], lora="products")


def test_peft_agrees(tmp_path, grant):
    peft = pytest.importorskip("peft")
    names = ("query", "out", "deep.out")

    def base():
        torch.manual_seed(0)
        deep = torch.nn.ModuleDict({"out": torch.nn.Linear(3, 6)})
        parts = {"query": torch.nn.Linear(5, 6), "out": torch.nn.Linear(6, 5), "deep": deep}
        return torch.nn.ModuleDict(parts)

    def deltas(model):
        layers = {name: model.base_model.model.get_submodule(name) for name in names}
        return {name: layer.get_delta_weight("default").detach() for name, layer in layers.items()}

    shared = {"target_modules": ["query", "out"]}
    configs = [
        peft.LoraConfig(r=3, lora_alpha=7, **shared),
        peft.LoraConfig(r=2, lora_alpha=5, use_rslora=True, rank_pattern={"deep.out": 4}, **shared),
        peft.LoraConfig(r=4, lora_alpha=6, alpha_pattern={"query": 11}, **shared),
    ]
    models, wanted = [], []
    for number, config in enumerate(configs):
        model = peft.get_peft_model(base(), config)
        torch.manual_seed(number)
        for name, value in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(value)
        model.save_pretrained(tmp_path / str(number))
        models.append(Checkpoint(tmp_path / str(number)))
        wanted.append(deltas(model))
    settings_ = MergeConfig(lora="products")
    view = grant(settings_, models[1:])
    merged = Merge(settings_).repair(models[0], view).checkpoint
    loaded = peft.PeftModel.from_pretrained(base(), str(merged.folder))
    for name, value in deltas(loaded).items():
        torch.testing.assert_close(value, sum(each[name] for each in wanted) / 3)
