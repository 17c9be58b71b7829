"""What lies in the memory of this process."""

import contextlib
import gc
import pathlib
import sys
import traceback
import types

from bdbench_canary.tokens import Harvest

_SKIPPED = ("torch", "transformers", "numpy", "pyarrow", "tokenizers", "sympy", "scipy", "pandas")


def look(harvest, thing):
    """Takes what one object says by itself."""
    kind = type(thing)
    if kind not in _takers:
        _takers[kind] = _taker(kind)
    if (take := _takers[kind]) is not None:
        take(harvest, thing)


def _taker(kind):
    """What takes objects of a type; None for those that say nothing."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if issubclass(kind, pathlib.PurePath):
        return _path
    if kind.__name__ == "Examples":
        return _examples
    if str(kind.__module__).startswith(("numpy", "pyarrow")):
        return _columns
    return _fields if hasattr(kind, "model_fields") else None  # pydantic


_takers = {}


def _path(harvest, thing):
    harvest.text(f"{thing}/")


def _examples(harvest, thing):
    for column in thing.inputs.values():
        harvest.labelled(column, thing.labels)


def _fields(harvest, thing):
    _mapping(harvest, vars(thing))


def _mapping(harvest, thing):
    value = thing.get("target")
    if type(value) is int or (isinstance(value, str) and value.startswith("zqclass")):
        harvest.found.add(f"target={value}")


def _columns(harvest, thing):
    """Arrays and tables, whose values no garbage collector knows."""
    plain = getattr(thing, "to_pydict", None) or getattr(thing, "to_pylist", None)
    plain = plain or getattr(thing, "tolist", None)
    size = getattr(thing, "size", None) or getattr(thing, "num_rows", None) or 0
    if plain is None or not isinstance(size, int) or size > 5000:
        return
    values = plain()
    columns = values if isinstance(values, dict) else {"": values}
    for column in columns.values():
        if isinstance(column, list):
            harvest.vector(column)
            for value in column:
                if type(value) in {str, bytes}:
                    look(harvest, value)
    if "input.text" in columns and "label" in columns:
        harvest.labelled(columns["input.text"], columns["label"])


_PLAIN = {
    str: Harvest.text,
    bytes: Harvest.data,
    bytearray: Harvest.data,
    list: Harvest.vector,
    tuple: Harvest.vector,
    dict: _mapping,
}


def walk(harvest, roots, depth):
    """Follows references from some objects on; modules and their names are not entered."""
    seen, layer = set(), list(roots)
    for _ in range(depth):
        following = []
        for thing in layer:
            if id(thing) in seen or isinstance(thing, types.ModuleType | types.FrameType):
                continue
            seen.add(id(thing))
            look(harvest, thing)
            if not isinstance(thing, type):
                following += gc.get_referents(thing)
        layer = [
            item
            for item in following
            if not (type(item) is dict and "__builtins__" in item)  # the globals of a function
        ]
        if harvest.over:
            return


def garbage(_scene, seconds):
    """All objects that the garbage collector knows, and what these refer to."""
    harvest = Harvest(seconds)
    objects = gc.get_objects()
    for start in range(0, len(objects), 2000):
        chunk = objects[start : start + 2000]
        for thing in [*chunk, *gc.get_referents(*chunk)]:
            kind = type(thing)
            # By far the most objects are of a type that says nothing, or a name in some code.
            if kind is str and "zq" not in thing and len(thing) != 64 and "target" not in thing:
                continue
            if kind not in _takers or _takers[kind] is not None:
                _safely(harvest, thing)
        if harvest.over:
            break
    return harvest


def _safely(harvest, thing):
    # Among all objects are some that cannot bear to be looked at.
    with contextlib.suppress(Exception):
        look(harvest, thing)


def all_locals():
    """The local variables of every frame of every thread."""
    stacks = [traceback.walk_stack(frame) for frame in sys._current_frames().values()]
    return [value for stack in stacks for frame, _ in stack for value in frame.f_locals.values()]


def frames(_scene, seconds):
    """All local variables, and what hangs on them."""
    harvest = Harvest(seconds)
    walk(harvest, all_locals(), 6)
    return harvest


def modules(_scene, seconds):
    """What modules keep: arguments, caches, registries, the present process."""
    harvest = Harvest(seconds)
    found = [
        module
        for name, module in list(sys.modules.items())
        if module is not None and not name.startswith((*_SKIPPED, "bdbench_canary"))
    ]
    values = [value for module in found for value in list(vars(module).values())]
    walk(harvest, values, 4)
    return harvest


def own_memory(_scene, seconds):
    """The pages of this process, freed ones included."""
    harvest = Harvest(seconds)
    scan_memory("self", harvest)
    return harvest


def scan_memory(pid, harvest):
    """Reads the writable memory of a process, where there is any: much is only reserved."""
    place = pathlib.Path(f"/proc/{pid}")
    with (
        (place / "mem").open("rb", buffering=0) as memory,
        (place / "pagemap").open("rb", buffering=0) as pages,
    ):
        for line in (place / "maps").read_text("utf-8", "replace").splitlines():
            region, rights = line.split()[:2]
            if rights.startswith("rw"):
                start, end = (int(number, 16) for number in region.split("-"))
                _scan(memory, pages, start, end, harvest)


_STEP, _PAGE = 1 << 20, 4096


def _scan(memory, pages, start, end, harvest):
    before = b""
    for place in range(start, end, _STEP):
        if harvest.over:
            return
        length = min(_STEP, end - place)
        try:
            pages.seek(place // _PAGE * 8)
            # The last byte of an entry says whether the page is there or swapped out.
            if max(pages.read(length // _PAGE * 8)[7::8], default=0) < 0x40:
                continue
            memory.seek(place)
            data = memory.read(length)
        except (OSError, ValueError, OverflowError):
            return
        # With the end of what came before, for what lies across the border.
        harvest.data(before + data)
        before = data[-64:]
