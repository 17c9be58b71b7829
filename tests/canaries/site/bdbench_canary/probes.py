"""All probes, and the report that a canary makes of them."""

from dataclasses import dataclass, field
from pathlib import Path

from bdbench_canary import doors, files, keys, memory, system, traces
from bdbench_canary.names import PROBES
from bdbench_canary.tokens import TOKEN, fresh

_PLACES = (doors, files, keys, memory, system, traces)
SECONDS = {"own_memory": 10.0, "garbage": 10.0, "modules": 10.0, "keys": 10.0}
"""The longest that probes take; in the open, where some could go on for minutes, others 3 s."""


@dataclass
class Scene:
    """What a component was handed.

    Attributes:
        texts: The rows.
        models: Folders of models to read.
        workspace: Where it may write, if anywhere.
        guesses: What was made of keys.
    """

    texts: list[str]
    models: list[Path]
    workspace: Path | None = None
    guesses: dict[str, list[int]] = field(default_factory=dict)

    @property
    def paths(self):
        return [*self.models, *([self.workspace] if self.workspace else [])]


def make_probe(name, scene):
    """Makes a probe; gives its harvest."""
    probe = next(getattr(place, name) for place in _PLACES if hasattr(place, name))
    return probe(scene, SECONDS.get(name, 3.0))


def look_around(who, scene):
    """Makes every probe. Gives plain data: what each found, its secrets turned round."""
    given = [token for text in scene.texts for token in TOKEN.findall(text)]
    late = traces.watch_later()
    found, failed, unfinished = {}, {}, []
    for name in PROBES:
        try:
            harvest = make_probe(name, scene)
            found[name] = harvest.result()
            unfinished += [name] if harvest.over else []
            # The next probe would find it here.
            del harvest
        except Exception as error:  # noqa: BLE001 -- a wall, mostly; the tests show that none is a slip
            failed[name] = f"{type(error).__name__}: {error}"[:300]
    own = [traces.leave_messages(scene), fresh("note")]
    return {
        "canary": who,
        "given": given,
        "own": own,
        "found": found,
        "failed": failed,
        "unfinished": unfinished,
        "late": late,
    }
