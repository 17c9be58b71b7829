from __future__ import annotations

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from bdbench.toolkit.weights import TensorInfo, WeightWriter

PAIR = [TensorInfo(name, torch.float32, (2, 2)) for name in ("first", "second")]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_safetensors_library_reads_it(models, tmp_path, dtype):
    state = models.state(0, dtype)
    plan = [TensorInfo(name, part.dtype, tuple(part.shape)) for name, part in state.items()]
    path = tmp_path / "model.safetensors"
    with WeightWriter(path, plan, {"note": "é"}) as writer:
        for name, tensor in state.items():
            for part in tensor.flatten().split(3):
                writer.write(name, part)
    loaded = load_file(path)
    assert set(loaded) == set(state)
    assert all(models.same(loaded[name], tensor) for name, tensor in state.items())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "note": "é"}


def test_takes_a_view_of_any_shape(tmp_path):
    values = torch.arange(4.0).reshape(2, 2)
    path = tmp_path / "x.safetensors"
    with WeightWriter(path, PAIR[:1]) as writer:
        writer.write("first", values.T)
    assert load_file(path)["first"].tolist() == values.T.tolist()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("second", torch.ones(2)),
        ("first", torch.ones(2, dtype=torch.float64)),
        ("first", torch.ones(5)),
    ],
)
def test_refuses_what_is_not_next_in_the_plan(tmp_path, name, values):
    with (
        pytest.raises(ValueError, match="the plan is 4 of 'first'"),
        WeightWriter(tmp_path / "x.safetensors", PAIR) as writer,
    ):
        writer.write(name, values)


def test_refuses_more_than_the_plan(tmp_path):
    with WeightWriter(tmp_path / "x.safetensors", PAIR[:1]) as writer:
        writer.write("first", torch.ones(4))
        with pytest.raises(ValueError, match="nothing more"):
            writer.write("first", torch.ones(1))


def test_refuses_to_end_before_the_plan(tmp_path):
    with (
        pytest.raises(ValueError, match="1 elements of 'first' were not written"),
        WeightWriter(tmp_path / "x.safetensors", PAIR) as writer,
    ):
        writer.write("first", torch.ones(3))


def test_an_error_inside_comes_out_and_leaves_no_whole_file(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(ZeroDivisionError), WeightWriter(path, PAIR):
        _ = 1 / 0
    with pytest.raises(SafetensorError):
        load_file(path)


def test_never_overwrites(tmp_path):
    (tmp_path / "x.safetensors").write_text("mine")
    with pytest.raises(FileExistsError):
        WeightWriter(tmp_path / "x.safetensors", [])
