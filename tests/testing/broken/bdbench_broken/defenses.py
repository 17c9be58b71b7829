"""Defenses."""

import contextlib
import socket
from pathlib import Path

import numpy as np
import torch

from bdbench.api import Defense, Filtering, NotGrantedError, Recipe, Repair, Screening

RECIPE = Recipe(epochs=1, batch_size=8, learning_rate=1e-3)


class SoundScreen(Defense):
    """Clips the first coordinate."""

    def scores(self, rows, view):
        return [float(abs(vector[0])) for vector in rows.inputs["vector"]]

    def screen(self, rows, view):
        scores = self.scores(rows, view)
        clipped = [np.clip(vector, -4, 4) for vector in rows.inputs["vector"]]
        rejected = [score > 8 for score in scores]
        return Screening(rows.with_input("vector", clipped), rejected, scores)


class SoundFilter(Defense):
    def filter(self, train, view):
        scores = [float(abs(vector[0])) for vector in train.inputs["vector"]]
        return Filtering([score < 8 for score in scores], scores)


class SoundRepair(Defense):
    def repair(self, victim, view):
        module = view.engine.load(victim)
        view.engine.fine_tune(module, victim, view.clean_rows, RECIPE, view.seeds)
        return Repair(view.engine.save(module, victim, view.workspace / "model"))


class Undeclared(SoundScreen):
    def repair(self, victim, view):
        return Repair(victim)


class Unimplemented(Defense):
    pass


class WrongArguments(SoundScreen):
    def screen(self, rows):
        return super().screen(rows, None)


class Opening(SoundScreen):
    def __init__(self, config):
        super().__init__(config)
        self.text = Path(__file__).with_name("notes.txt").read_text("utf-8")


class Peeking(SoundScreen):
    def screen(self, rows, view):
        with contextlib.suppress(NotGrantedError):
            len(view.training_rows)
        return super().screen(rows, view)


class Prying(SoundScreen):
    def scores(self, rows, view):
        getattr(view, "_training_rows", None)
        return super().scores(rows, view)


class Asking(SoundScreen):
    def scores(self, rows, view):
        return view.predict(rows)["probabilities"][:, 1].tolist()


class OwnLoop(SoundRepair):
    def repair(self, victim, view):
        module = view.engine.load(victim)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        vectors = torch.from_numpy(np.stack(view.clean_rows.inputs["vector"]))
        loss = torch.nn.functional.cross_entropy(
            module(vectors), torch.tensor(view.clean_rows.labels)
        )
        loss.backward()
        optimizer.step()
        return Repair(view.engine.save(module, victim, view.workspace / "model"))


class Hidden(SoundScreen):
    """Calls a model that it has not declared."""

    def scores(self, rows, view):
        return view.engine.forward(lambda: super(Hidden, self).scores(rows, view), len(rows))


class Greedy(SoundRepair):
    def repair(self, victim, view):
        if len(view.clean_rows) < 8:
            raise ValueError("too few clean rows")
        return super().repair(victim, view)


class SameModel(Defense):
    def repair(self, victim, view):
        return Repair(victim)


class NotFinite(SoundScreen):
    def scores(self, rows, view):
        scores = super().scores(rows, view)
        return [
            float("nan") if row_id == 7 else score
            for row_id, score in zip(rows.ids, scores, strict=True)
        ]


class Shuffling(SoundFilter):
    def filter(self, train, view):
        done = super().filter(train, view)
        return Filtering(done.keep, done.scores, examples=train.select(range(len(train))[::-1]))


class Relative(SoundScreen):
    def scores(self, rows, view):
        scores = super().scores(rows, view)
        return [score - max(scores) for score in scores]


class Stacking(SoundScreen):
    def scores(self, rows, view):
        return np.abs(np.stack(rows.inputs["vector"])[:, 0]).tolist()


class Pairing(SoundFilter):
    def filter(self, train, view):
        if len(train) < 2:
            raise ValueError("a filter needs two rows")
        return super().filter(train, view)


class Connecting(SoundScreen):
    def scores(self, rows, view):
        with contextlib.closing(socket.socket()) as line:
            line.connect_ex(("127.0.0.1", 9))
        return super().scores(rows, view)


class Deleting(SoundScreen):
    def scores(self, rows, view):
        with contextlib.suppress(OSError):
            Path("/no-such-folder/notes.txt").unlink()
        return super().scores(rows, view)


class Destroying(Defense):
    def repair(self, victim, view):
        module = view.engine.load(victim)
        with torch.no_grad():
            for weight in module.parameters():
                weight.mul_(0)
        return Repair(view.engine.save(module, victim, view.workspace / "model"))


class RejectingAll(SoundScreen):
    def screen(self, rows, view):
        done = super().screen(rows, view)
        return Screening(done.examples, [True] * len(rows), done.scores)


class Blanking(SoundScreen):
    """Leaves nothing of a row to tell its class from."""

    def screen(self, rows, view):
        done = super().screen(rows, view)
        blank = [np.zeros_like(vector) for vector in rows.inputs["vector"]]
        return Screening(rows.with_input("vector", blank), done.rejected, done.scores)


class DroppingMost(SoundFilter):
    def filter(self, train, view):
        done = super().filter(train, view)
        return Filtering([row_id % 3 == 0 for row_id in train.ids], done.scores)
