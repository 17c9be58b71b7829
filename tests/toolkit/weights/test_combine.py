from __future__ import annotations

import functools
import hashlib
import math
import operator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from bdbench.api import Checkpoint, InputError, NonFiniteError
from bdbench.toolkit.weights import WeightReader, combine, elementwise

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NON_FINITE = [math.nan, math.inf, -math.inf]
PROPERTY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


def mean(values):
    result = values[0].clone()
    for value in values[1:]:
        result += value
    return result / len(values)


def merge(models, states, step=mean, **options):
    checkpoints = [models.save(f"m{n}", state) for n, state in enumerate(states)]
    names = [f"model {n}" for n in range(len(states))]
    return combine(checkpoints, models.folder / "out", elementwise(step), names=names, **options)


def digests(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", FLOATS)
def test_mean_is_the_plain_one_to_the_last_bit(models, dtype, count):
    states = [models.state(seed, dtype) for seed in range(count)]
    result = models.load(merge(models, states).checkpoint)
    for name in models.floating:
        wide = [state[name].double() for state in states]
        wide = wide if dtype == torch.float64 else [value.float() for value in wide]
        expected = (functools.reduce(operator.add, wide) / count).to(dtype)
        assert models.same(result[name], expected)
        assert result[name].shape == expected.shape
        if count == 2:  # with more, torch's own order of adding depends on the place
            assert models.same(result[name], torch.stack(wide).mean(0).to(dtype))


@PROPERTY
@given(piece=st.integers(1, 250), dtype=st.sampled_from(FLOATS))
def test_result_does_not_depend_on_the_piece(models, piece, dtype):
    states = [models.state(seed, dtype) for seed in range(3)]
    whole = merge(models.fresh(), states)
    pieces = merge(models.fresh(), states, piece=piece)
    contents = [done.checkpoint.weight_files()[0].read_bytes() for done in (whole, pieces)]
    assert contents[0] == contents[1]
    assert whole.changed_parameters == pieces.changed_parameters


def test_layout_and_other_files_are_those_of_the_first(models, tmp_path):
    first = models.save("first", models.state(0), shards=3, config={"vocab_size": 37})
    other = models.save("other", models.state(1))
    for file in ("vocab.txt", "chat_template.jinja", "LICENSE", "o200k.tiktoken", "spiece.model"):
        (first.folder / file).write_text("kept")
    before = digests(first.folder), digests(other.folder)
    folder = tmp_path / "new" / "out"
    combine([first, other], folder, elementwise(mean), names=["a", "b"])
    assert (digests(first.folder), digests(other.folder)) == before
    shards = {path.name for path in first.weight_files()}
    kept = {models.index, "config.json", "vocab.txt", "chat_template.jinja", "LICENSE"}
    kept |= {"o200k.tiktoken", "spiece.model"}
    assert {str(path.relative_to(folder)) for path in digests(folder)} == shards | kept
    for name in kept:
        assert (folder / name).read_bytes() == (first.folder / name).read_bytes()
    for name in shards:
        assert set(load_file(folder / name)) == set(load_file(first.folder / name))


def test_nothing_else_of_a_doubtful_folder_is_copied(models, tmp_path):
    first = models.save("first", models.state(0), config={})
    strangers = ["pytorch_model.bin", "pytorch_model.bin.index.json", "optimizer.pt", "a.pickle"]
    strangers += ["b.joblib", "c.npy", "model.tflite", "model.pb", "modeling.py", ".gitattributes"]
    strangers += ["checkpoint-500/config.json", "sub/more.safetensors", ".git/objects/ab/cdef"]
    for name in strangers:
        (first.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (first.folder / name).write_text("{}")
    combine([first], tmp_path / "out", elementwise(mean), names=["a"])
    left = {path.relative_to(tmp_path / "out").as_posix() for path in digests(tmp_path / "out")}
    assert left == {"model.safetensors", "config.json"}


def test_unchanged_weights_give_the_same_file(models):
    states = [models.state(seed, torch.bfloat16) for seed in range(2)]
    done = merge(models, states, lambda values: values[0])
    first = models.folder / "m0" / "model.safetensors"
    assert done.checkpoint.weight_files()[0].read_bytes() == first.read_bytes()
    assert (done.changed_tensors, done.changed_parameters) == (0, 0)


def test_counts_what_changed(models):
    states = [models.state(0) for _ in range(2)]
    states[1]["layer.weight"][0, :3] += 1
    done = merge(models, states)
    assert (done.tensors, done.parameters) == (len(models.floating), models.parameters)
    assert (done.changed_tensors, done.changed_parameters) == (1, 3)


def test_a_read_only_model_gives_a_writable_one(models, tmp_path):
    first = models.save("first", models.state(0), config={})
    for path in (*first.folder.iterdir(), first.folder):
        path.chmod(0o500)
    out = combine([first], tmp_path / "out", elementwise(mean), names=["a"]).checkpoint
    first.folder.chmod(0o700)
    assert all(path.stat().st_mode & 0o200 for path in (*out.folder.iterdir(), out.folder))


def test_never_writes_into_a_folder_that_exists(models):
    (models.folder / "out").mkdir()
    with pytest.raises(FileExistsError):
        merge(models, [models.state(0)])


def test_refuses_models_that_do_not_correspond_before_it_writes(models):
    with pytest.raises(InputError, match="cannot be combined"):
        merge(models, [models.state(0), {"x": torch.ones(1)}])
    assert not (models.folder / "out").exists()


def test_whole_numbers_must_agree(models):
    states = [models.state(seed) for seed in range(3)]
    states[2]["position_ids"][-1] += 1
    with pytest.raises(InputError, match=r"model 2: .*'position_ids'.*int64"):
        merge(models, states, piece=2)


def test_truth_values_must_agree(models):
    states = [models.state(seed) for seed in range(2)]
    states[1]["mask"] = ~states[1]["mask"]
    with pytest.raises(InputError, match=r"model 1: .*'mask'.*bool"):
        merge(models, states)


def test_step_counters_may_differ(models):
    states = [models.state(0) | {"bn.num_batches_tracked": torch.tensor(n)} for n in (3, 4)]
    assert models.load(merge(models, states).checkpoint)["bn.num_batches_tracked"] == 3


@pytest.mark.parametrize("model", [0, 1])
@pytest.mark.parametrize("value", NON_FINITE)
@pytest.mark.parametrize("dtype", FLOATS)
def test_refuses_non_finite_weights(models, dtype, value, model):
    states = [models.state(seed, dtype) for seed in range(2)]
    states[model]["embeddings.weight"][36, 4] = value
    with pytest.raises(NonFiniteError, match=rf"model {model}: .*'embeddings\.weight'"):
        # The result alone would not show it.
        merge(models, states, lambda values: torch.zeros_like(values[0]), piece=16)


@PROPERTY
@given(
    dtype=st.sampled_from(FLOATS),
    length=st.integers(1, 130),
    place=st.integers(0, 129),
    value=st.sampled_from(NON_FINITE),
)
def test_no_place_hides_a_non_finite_weight(models, dtype, length, place, value):
    tensor = torch.randn(length).to(dtype)
    tensor[place % length] = value
    checkpoint = models.fresh().save("model", {"x": tensor})
    with WeightReader(checkpoint) as reader, pytest.raises(NonFiniteError):
        reader["x"].read_finite()


def test_refuses_a_result_that_its_type_cannot_hold(models):
    states = [models.state(seed, torch.float16) for seed in range(2)]
    with pytest.raises(NonFiniteError, match=r"the result: .*'embeddings\.weight'"):
        merge(models, states, lambda values: 1e6 * values[0])


def test_a_rule_may_read_a_tensor_before_its_pieces(models, tmp_path):
    states = [models.state(seed) for seed in range(2)]
    checkpoints = [models.save(str(n), state) for n, state in enumerate(states)]

    def centre(parts):
        middle = parts[1].load().mean()
        return lambda values: values[0] - middle

    done = combine(checkpoints, tmp_path / "out", centre, names=["a", "b"], piece=7)
    result = models.load(done.checkpoint)
    for name in ("embeddings.weight", "layer.weight"):
        assert models.same(result[name], states[0][name] - states[1][name].mean())


def test_tied_weights_stay_tied(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=6)
    originals = []
    for seed in range(2):
        torch.manual_seed(seed)
        originals.append(GPT2LMHeadModel(config).eval())
        originals[-1].save_pretrained(tmp_path / str(seed), max_shard_size="2KB")
    checkpoints = [Checkpoint(tmp_path / str(seed)) for seed in range(2)]
    assert len(checkpoints[0].weight_files()) > 1
    with WeightReader(checkpoints[0]) as reader:
        assert "lm_head.weight" not in reader.tensors
    done = combine(checkpoints, tmp_path / "out", elementwise(mean), names=["a", "b"])
    merged = GPT2LMHeadModel.from_pretrained(done.checkpoint.folder).eval()
    assert merged.lm_head.weight is merged.transformer.wte.weight
    first, second = (model.state_dict() for model in originals)
    originals[0].load_state_dict({name: (first[name] + second[name]) / 2 for name in first})
    tokens = torch.tensor([[1, 2, 3, 10]])
    assert torch.equal(merged(tokens).logits, originals[0](tokens).logits)
