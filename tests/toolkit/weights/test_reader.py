from __future__ import annotations

import json
import os
import shutil

import pytest
import torch

from bdbench.api import Checkpoint, InputError
from bdbench.toolkit.weights import WeightReader


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_gives_what_the_safetensors_library_gives(models, dtype, shards):
    state = models.state(0, dtype)
    with WeightReader(models.save("model", state, shards=shards)) as reader:
        assert set(reader.tensors) == set(state)
        for stored in reader:
            expected = state[stored.info.name]
            assert (stored.info.shape, stored.info.dtype) == (expected.shape, expected.dtype)
            assert models.same(stored.load(), expected)
            assert stored.load().shape == expected.shape


def test_reads_a_piece(models):
    state = models.state(0, torch.bfloat16)
    with WeightReader(models.save("model", state)) as reader:
        piece = reader["embeddings.weight"].read(11, 99)
    assert models.same(piece, state["embeddings.weight"].flatten()[11:99])


def test_every_kind_of_whole_number(models):
    kinds = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8]
    kinds += [torch.uint16, torch.uint32, torch.uint64, torch.bool]
    state = {str(kind): torch.tensor([0, 1, 1]).to(kind) for kind in kinds}
    with WeightReader(models.save("model", state)) as reader:
        for name, tensor in state.items():
            assert models.same(reader[name].load(), tensor)


def test_opening_reads_no_weights(tmp_path):
    # 256 GiB of zeros that take no space: whoever reads them does not come back.
    header = {"x": {"dtype": "F32", "shape": [1 << 36], "data_offsets": [0, 1 << 38]}}
    text = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + (1 << 38))
    with WeightReader(Checkpoint(tmp_path)) as reader:
        assert reader["x"].info.numel == 1 << 36
        assert not reader["x"].read((1 << 36) - 3).any()


def test_short_reads_are_continued(models, monkeypatch):
    # Linux gives at most 2 GiB at once, other file systems less.
    def a_few_bytes(file, buffers, offset, preadv=os.preadv):
        return preadv(file, [buffers[0][:5]], offset)

    state = models.state(0)
    checkpoint = models.save("model", state)
    monkeypatch.setattr("os.preadv", a_few_bytes)
    with WeightReader(checkpoint) as reader:
        assert models.same(reader["layer.weight"].load(), state["layer.weight"])


def test_file_that_shrinks_while_read_is_an_error(models):
    checkpoint = models.save("model", models.state(0))
    with WeightReader(checkpoint) as reader:
        with checkpoint.weight_files()[0].open("r+b") as file:
            file.truncate(200)
        with pytest.raises(InputError, match="became shorter"):
            reader["embeddings.weight"].read()


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "header",
    [
        "no json",
        "[1]",
        "[" * 100_000,
        '{"x": 3}',
        '{"__metadata__": {"a": 1}}',
        '{"x": {"dtype": "F32", "shape": [2]}}',
        json.dumps({"x": entry([2], 0, 7)}),
        json.dumps({"x": entry([2], 1, 9)}),
        json.dumps({"x": entry([2], 4, 8)}),
        json.dumps({"x": entry([2], -8, 0)}),
        json.dumps({"x": entry([-2, -1], 0, 8)}),
        json.dumps({"x": entry([2.0], 0, 8)}),
        json.dumps({"x": entry([10**4000], 0, 8)}),
        json.dumps({"x": entry([True, 2], 0, 8)}),
        json.dumps({"x": entry([1], 0, 4)}),
        json.dumps({"x": entry([2], 0, 8), "y": entry([2], 0, 8)}),
        json.dumps({"x": entry([1], 0, 4), "y": entry([1], 8, 12)}),
        json.dumps({"x": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}),
        json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": 8}}),
        json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4, 8]}}),
        json.dumps({"x": entry([2], 0, 8, dtype=["F32"])}),
    ],
)
def test_refuses_a_header_that_is_wrong(tmp_path, header):
    content = len(header).to_bytes(8, "little") + header.encode() + bytes(8)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"victim: .*model\.safetensors: not a whole"):
        WeightReader(Checkpoint(tmp_path), "victim")


@pytest.mark.parametrize("content", [b"", b"abc", (1 << 60).to_bytes(8, "little") + b"{}"])
def test_refuses_what_is_no_safetensors_file(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not a whole safetensors file"):
        WeightReader(Checkpoint(tmp_path))


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"x"])
def test_refuses_a_file_of_another_length(models, change):
    checkpoint = models.save("model", models.state(0))
    file = checkpoint.weight_files()[0]
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(InputError, match="not a whole safetensors file"):
        WeightReader(checkpoint)


def test_refuses_quantised_weights(models):
    checkpoint = models.save("model", {"x": torch.ones(4).to(torch.float8_e4m3fn)})
    with pytest.raises(InputError, match="'x' of type F8_E4M3"):
        WeightReader(checkpoint)


def test_refuses_a_folder_without_weights(tmp_path):
    with pytest.raises(InputError, match="no weights"):
        WeightReader(Checkpoint(tmp_path))


def test_refuses_a_missing_shard(models):
    checkpoint = models.save("model", models.state(0), shards=3)
    checkpoint.weight_files()[1].unlink()
    with pytest.raises(InputError, match=r"not whole.*model-00002-of-00003\.safetensors"):
        WeightReader(checkpoint)


def test_refuses_a_tensor_in_two_files(models):
    checkpoint = models.save("model", models.state(0), shards=2)
    shutil.copy(checkpoint.weight_files()[0], checkpoint.folder / "stale.safetensors")
    with pytest.raises(InputError, match="two weight files hold"):
        WeightReader(checkpoint)


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": 3}'])
def test_refuses_an_index_that_is_wrong(models, text):
    checkpoint = models.save("model", models.state(0), shards=2)
    (checkpoint.folder / models.index).write_text(text)
    with pytest.raises(InputError, match="index of the shards cannot be read"):
        WeightReader(checkpoint)
