"""The warm parent: a process with torch imported, from which all workers are forked.

``python -m bdbench.execution.warm LISTENER LIFELINE`` (two descriptors). It takes connections
and forks; the child reads what is wanted of it. So it holds code only, no data of any suite:
what it knew, every child could read. It ends, and all children with it, when the other end of
its lifeline is closed.
"""

from __future__ import annotations

import io
import os

# Before torch is imported: the libraries under it read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import contextlib
import gc
import json
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers.models.auto.modeling_auto
import transformers.models.bert.modeling_bert
import transformers.models.bert.tokenization_bert  # noqa: F401
from transformers import BertConfig, BertModel
from transformers.utils.logging import disable_progress_bar

import bdbench.engine.stages  # noqa: F401
from bdbench.engine.numerics import settle
from bdbench.execution.confined import act
from bdbench.execution.sandbox.visible import installation
from bdbench.execution.worker import work
from bdbench.host.catalog import Host

__all__ = ["main"]

MOST_BYTES = 64 * 2**20
"""Of one message."""

PATIENCE = 2.0
"""Seconds that children have to end when they are asked to."""

ROLES: Mapping[str, Callable[..., int]] = {"work": work, "act": act}
"""What a child can be wanted for: the host's own work, or to let a component act."""


def _first_uses() -> None:
    """Does what imports more at its first use, so that no child has to.

    Determinism brings in torch._inductor (1 s), an optimizer torch._dynamo, reading parquet
    pyarrow.dataset and with it pandas (1 s), a checkpoint the patterns of names in those of
    all models (0.15 s).
    """
    settle()
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    pq.read_table(file)
    tiny = BertConfig(
        vocab_size=2, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2
    )
    # Its bars come with a thread, which forks do not go with.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        BertModel(tiny).save_pretrained(folder)
        BertModel.from_pretrained(folder)


class _WarmParent:
    def __init__(self, listener: socket.socket, lifeline: socket.socket) -> None:
        self.listener = listener
        self.lifeline = lifeline
        self.host = Host()
        self.children: dict[int, Connection] = {}

    def serve(self) -> None:
        """Forks until the lifeline ends."""
        woken, wake = socket.socketpair()
        wake.setblocking(False)  # noqa: FBT003 -- its only argument
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C reaches the whole group; only the main process decides what to do then.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            for place in (self.listener, self.lifeline, woken):
                selector.register(place, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self.lifeline in ready:
                    self._end()
                if woken in ready:
                    woken.recv(4096)
                    self._reap()
                if self.listener in ready:
                    self._take((selector, woken, wake))

    def _take(self, own: tuple[selectors.DefaultSelector, socket.socket, socket.socket]) -> None:
        accepted, _ = self.listener.accept()
        connection = Connection(accepted.detach())
        pid = os.fork()
        if pid:
            self.children[pid] = connection
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for item in (*own, self.listener, self.lifeline):
            item.close()
        for other in self.children.values():
            other.close()
        self._answer(connection)

    def _answer(self, connection: Connection) -> NoReturn:
        """In the child: does what is wanted, and ends without taking torch apart in order."""
        code = 1
        try:
            wanted = json.loads(connection.recv_bytes(MOST_BYTES))
            code = ROLES[wanted.pop("do")](connection, self.host, **wanted)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Tells how each child ended whom it worked for."""
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self.children.pop(pid) as connection, contextlib.suppress(OSError):
                code = os.waitstatus_to_exitcode(status)
                connection.send_bytes(json.dumps({"ended": code}).encode())

    def _end(self) -> NoReturn:
        # Those that keep a component take what is below them along, if they are asked.
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while self.children and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)
        self._signal(signal.SIGKILL)
        os._exit(0)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def main() -> None:
    """Serves the connections of one run."""
    listener, lifeline = (socket.socket(fileno=int(text)) for text in sys.argv[1:])
    _first_uses()
    installation()
    # A child whose garbage collector looked through all this would copy the pages of it.
    gc.collect()
    gc.freeze()
    _WarmParent(listener, lifeline).serve()


if __name__ == "__main__":
    main()
