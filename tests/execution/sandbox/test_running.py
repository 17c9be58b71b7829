"""What must still work inside: the libraries that attacks, defenses and metrics are made of."""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bdbench.execution.sandbox import Limits

LONG = Limits(seconds=120)


@pytest.fixture(scope="module", autouse=True)
def warm():
    """Imported before the forks, as the warm parent does; the rest is imported inside."""
    import torch

    torch.set_num_threads(1)


def test_torch_and_safetensors(inside, kind, user, jail):
    import torch
    from safetensors.torch import load_file, save_file

    save_file({"weight": torch.eye(8)}, jail.folder / "in" / "given.safetensors")

    def probe(box):
        weight = load_file(box / "in" / "given.safetensors")["weight"]
        layer = torch.nn.Linear(8, 8)
        layer.weight.data = weight
        loss = layer(torch.ones(4, 8)).sum()
        loss.backward()
        save_file({"gradient": layer.weight.grad}, box / "out" / "made.safetensors")
        return float(weight.matmul(weight).sum())

    assert inside.result(kind, probe, limits=LONG, before=user) == 8.0
    made = load_file(jail.folder / "out" / "made.safetensors")["gradient"]
    assert made.tolist() == [[4.0] * 8] * 8


def test_parquet(inside, kind, jail):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["good", "bad"], "label": [1, 0]})
    pq.write_table(table, jail.folder / "in" / "rows.parquet")

    def probe(box):
        rows = pq.read_table(box / "in" / "rows.parquet")
        pq.write_table(rows.slice(1), box / "out" / "rows.parquet")
        return rows.to_pylist()

    assert inside.result(kind, probe, limits=LONG) == table.to_pylist()
    assert pq.read_table(jail.folder / "out" / "rows.parquet").to_pylist() == [
        {"text": "bad", "label": 0}
    ]


def test_a_module_is_imported_only_inside(inside, kind):
    # One of the standard library with a binary part, one of site-packages, one of the host's.
    names = ["sqlite3", "statistics", "xml.etree.ElementTree", "yaml", "bdbench.toolkit.words"]

    def probe(box):
        import importlib

        for name in [name for name in sys.modules if name.split(".")[0] in {"yaml", "sqlite3"}]:
            del sys.modules[name]
        return [importlib.import_module(name).__name__ for name in names]

    assert inside.result(kind, probe, limits=LONG) == names


def test_a_tokenizer_and_a_model_are_loaded(inside, kind, jail):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        BertConfig,
        BertForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    tokens = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    words = {"[UNK]": 0, "[PAD]": 1, "good": 2, "film": 3}
    plain = Tokenizer(models.WordLevel(words, unk_token=tokens["unk_token"]))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    given = jail.folder / "in" / "model"
    PreTrainedTokenizerFast(tokenizer_object=plain, **tokens).save_pretrained(given)
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    BertForSequenceClassification(
        BertConfig(vocab_size=4, num_hidden_layers=1, **sizes)
    ).save_pretrained(given)

    def probe(box):
        tokenizer = AutoTokenizer.from_pretrained(box / "in" / "model")
        model = AutoModelForSequenceClassification.from_pretrained(box / "in" / "model")
        batch = tokenizer(["good film", "bad"], return_tensors="pt", padding=True)
        shape = list(model(input_ids=batch["input_ids"]).logits.shape)
        model.save_pretrained(box / "out" / "model")
        return [batch["input_ids"].tolist(), shape]

    assert inside.result(kind, probe, limits=LONG) == [[[2, 3], [0, 1]], [2, 2]]
    assert (jail.folder / "out" / "model" / "model.safetensors").exists()


def test_programs_are_started(inside, kind):
    def probe(box):
        command = [sys.executable, "-c", "import ssl, json; print(json.dumps(1))"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert inside.result(kind, probe) == "1"


def test_processes_of_multiprocessing_work(inside, namespace):
    """With locks, which lie in /dev/shm, and unix sockets: both are the worker's own."""

    def probe(box):
        import torch
        from torch.utils.data import DataLoader

        rows = list(range(6))
        return torch.cat(list(DataLoader(rows, batch_size=2, num_workers=1))).tolist()

    assert inside.result(namespace, probe, limits=LONG) == [0, 1, 2, 3, 4, 5]


def test_loaders_without_processes_work(inside, landlock):
    def probe(box):
        import torch
        from torch.utils.data import DataLoader

        return torch.cat(list(DataLoader(list(range(6)), batch_size=4))).tolist()

    assert inside.result(landlock, probe, limits=LONG) == [0, 1, 2, 3, 4, 5]


def test_devices_work(inside, kind):
    def probe(box):
        with Path("/dev/null").open("r+b") as null, Path("/dev/zero").open("rb") as zero:
            written = null.write(b"x")
            zeros = zero.read(2) == b"\0\0"
        return [written, zeros, len(os.urandom(3))]

    assert inside.result(kind, probe) == [1, True, 3]


# --- what it inherits ---------------------------------------------------------------------------


def test_environment_is_an_allow_list(inside, kind, monkeypatch):
    monkeypatch.setenv("LC_TIME", "de_DE.UTF-8")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("BDBENCH_HOME", "/home/of/results")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x")
    found = inside.result(kind, lambda box: dict(os.environ))
    assert found["LC_TIME"] == "de_DE.UTF-8"
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["HF_HUB_OFFLINE"] == found["TRANSFORMERS_OFFLINE"] == "1"
    assert found["PATH"] == os.environ["PATH"]
    assert not {"AWS_SECRET_ACCESS_KEY", "BDBENCH_HOME", "MLFLOW_TRACKING_URI"} & set(found)


def read_a_table():
    """From here on, Arrow replaces a pipe of its own in each fork, and aborts if it cannot."""
    import pyarrow.csv

    pyarrow.csv.read_csv(io.BytesIO(b"a,b\n1,2\n"))


@pytest.mark.parametrize("prepare", [lambda: None, read_a_table], ids=["plain", "arrow"])
def test_only_named_descriptors_lead_anywhere(inside, kind, prepare):
    prepare()
    ours, theirs = os.pipe()
    extra = os.open("/dev/zero", os.O_RDONLY)
    held = {str(Path(f"/proc/self/fd/{number}").readlink()) for number in (ours, theirs, extra)}

    def probe(box):
        links, ends = {}, {}
        for path in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the one that lists them
                links[int(path.name)] = link = str(path.readlink())
                mode = fcntl.fcntl(int(path.name), fcntl.F_GETFL) & os.O_ACCMODE
                ends.setdefault(link, set()).add(mode)
        # A pipe that the host does not hold, with both ends here, is a library's own; the folder
        # in /proc is what Landlock needs.
        nowhere = {link for link in ends if ends[link] == {os.O_RDONLY, os.O_WRONLY}} - held
        nowhere |= {os.devnull, f"/proc/{os.getpid()}"}
        somewhere = sorted(number for number, link in links.items() if link not in nowhere)
        return [somewhere, links[0], links[extra]]

    somewhere, *others = inside.result(kind, probe, keep=(theirs,))
    # The other one is where what the probe found goes.
    assert len(somewhere) == 4
    assert {1, 2, theirs} < set(somewhere)
    assert others == [os.devnull, os.devnull]
    for descriptor in (ours, theirs, extra):
        os.close(descriptor)


def test_a_library_may_close_its_own_descriptors_in_a_fork(inside, kind):
    read_a_table()

    def probe(box):
        child = os.fork()
        if child == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert inside.result(kind, probe) == 7


def test_it_stands_alone(inside, kind):
    def probe(box):
        return [Path.cwd() == box, os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()]

    assert inside.result(kind, probe) == [True, True, True]


def test_multiprocessing_remembers_nothing(inside, kind):
    import multiprocessing as mp
    from multiprocessing import forkserver, process

    def before():
        vars(process)["ORIGINAL_DIR"] = "/home/of/results"
        forkserver._forkserver._forkserver_address = "secret address"
        mp.current_process()._config["authkey"] = b"secret"

    def probe(box):
        current = mp.current_process()
        return [
            process.ORIGINAL_DIR,
            forkserver._forkserver._forkserver_address,
            bytes(current.authkey) == b"secret",
            mp.parent_process() is None,
            current.name,
        ]

    assert inside.result(kind, probe, before=before) == [None, None, False, True, "worker"]


def test_signals_are_as_in_a_new_process(inside, kind):
    import signal

    def probe(box):
        return [
            sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
            signal.getsignal(signal.SIGINT) == signal.default_int_handler,
        ]

    assert inside.result(kind, probe) == [[], True, True]


WARM = """
import gc, json, os, sys
from pathlib import Path
from bdbench.execution.sandbox import Isolation, Jail, Limits, run_confined

WANTED = "-".join(("the", "trigger", "is"))
folder, kind, told = sys.argv[1:]
if told == "told":
    # As if the host had sent too much.
    held = ["-".join((WANTED, "cf"))]

def look(box):
    objects = [item for item in gc.get_objects() if isinstance(item, (dict, list, tuple))]
    parts = [part for item in objects for part in (item.values() if type(item) is dict else item)]
    texts = [part for part in parts if isinstance(part, str) and WANTED + "-cf" in part]
    memory = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        if "r" in fields[1] and (len(fields) == 5 or fields[5] in ("[heap]", "[stack]")):
            start, end = (int(part, 16) for part in fields[0].split("-"))
            with open("/proc/self/mem", "rb", 0) as file:
                file.seek(start)
                block = file.read(end - start)
            # Sought in two parts, so that it does not find what it seeks with.
            places = block.split(WANTED.encode() + b"-c")[1:]
            memory += sum(place.startswith(b"f") for place in places)
            del block, places
    (box / "out" / "found").write_text(json.dumps([len(texts), memory]))

if os.fork() == 0:
    ending = run_confined(Isolation(kind), Jail(Path(folder)), look, Limits(seconds=60))
    print(ending.text, (Path(folder) / "log").read_text())
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


def search(kind, jail, told, **environment):
    """How many objects and how many bytes of memory in a worker hold a secret."""
    command = [sys.executable, "-c", WARM, str(jail.folder), kind, told]
    variables = dict(os.environ) | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert "ended well" in done.stdout, done.stdout
    return json.loads((jail.folder / "out" / "found").read_text())


def test_what_only_the_host_knows_is_nowhere_in_it(kind, jail):
    secret = ["the-trigger-is-cf"]
    assert search(kind, jail, "nothing") == [0, 0]
    assert secret  # it was there all the time


def test_what_was_sent_to_the_process_that_calls_is_found(kind, jail):
    objects, memory = search(kind, jail, "told")
    assert objects >= 1
    assert memory >= 1


def test_no_object_holds_what_the_warm_parent_was_launched_with(kind, jail):
    # Dead copies may linger in its memory: a warm parent is to be started clean.
    objects, _ = search(kind, jail, "nothing", BDBENCH_TRIGGER="the-trigger-is-cf")
    assert objects == 0
