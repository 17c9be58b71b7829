"""Secrets that can be told from all other text, and where one is seen.

A token is ``zq``, its kind, and twelve hexadecimal digits. Kinds: ``trig`` the trigger, ``conf``
the attack's settings, ``name`` the attack's, ``def`` a defense's, ``suite`` the suite's name;
``train``, ``test``, ``pool`` a row of that split; ``env`` the user's environment, ``net`` what
servers say, ``fd`` an open file of the parent's; ``past`` the results of earlier cells, ``note``
those of this run; ``drop`` what a canary leaves for others. Classes are named ``zqclass...``;
these names are no secret, but which of them is the target is.
"""

import hashlib
import re
import secrets
import time

KINDS = (
    *("trig", "conf", "name", "def", "suite", "train", "test", "pool"),
    *("env", "net", "fd", "past", "note", "drop"),
)
_TOKEN = rf"zq(?:{'|'.join(KINDS)})[0-9a-f]{{12}}"
# A beginning of plain letters: memory is searched for it.
_TARGET = r"""target["']?\s*[:=]\s*["']?(zqclass[0-9a-f]{12}|\d+)\b"""
TOKEN, TOKEN_BYTES = re.compile(_TOKEN), re.compile(_TOKEN.encode())
TARGET, TARGET_BYTES = re.compile(_TARGET), re.compile(_TARGET.encode())
HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{16,64}(?![0-9a-f])")

CLASSES = tuple(f"zqclass{hashlib.sha256(b'%d' % n).hexdigest()[:12]}" for n in range(12))
TARGET_CLASS = 11
"""Not a number that stands beside the word target for other reasons."""
CANDIDATES = 8
"""The triggers and settings among which a suite chooses: few, so that keys can be guessed."""


def kind(token):
    return re.match(r"zq(.*)[0-9a-f]{12}$", token).group(1) if TOKEN.fullmatch(token) else ""


def whole_part(token):
    """By what a token is known: in freed memory, other things may stand in place of its end."""
    return token[:-3]


def fresh(name):
    return f"zq{name}{secrets.token_hex(6)}"


def fixed(name, *about):
    """A token that the same words always give."""
    return f"zq{name}{hashlib.sha256(repr(about).encode()).hexdigest()[:12]}"


def _matches(pattern, beginning, data):
    """As ``pattern.finditer``, some ten times as fast where matches are rare."""
    place = data.find(beginning)
    while place >= 0:
        if match := pattern.match(data, place):
            yield match
        place = data.find(beginning, place + 1)


class Harvest:
    """What one probe has found, and how long it may go on.

    Besides tokens: ``target=..``, ``mask=0,1,..`` and ``labels=0,7,..`` for sequences that could
    be those, ``label:<row>=<label>``, and ``hex:..`` for what could be a key.
    """

    def __init__(self, seconds, row_count=20):
        self.found = set()
        self.vectors = set()
        # Of work, not of waiting: a busy machine must not cut a search short.
        self._end = time.thread_time() + seconds
        self._least = row_count

    @property
    def over(self):
        return time.thread_time() > self._end

    def text(self, text):
        if "zq" in text:
            self.found.update(TOKEN.findall(text))
        if "target" in text:
            self.found.update(f"target={value}" for value in TARGET.findall(text))
        self.names(text)

    def names(self, text):
        """What could be a key, where it makes up a text or a part of a path."""
        if len(text) == 64 or ("/" in text and len(text) < 2000):
            self.found.update(f"hex:{name[:16]}" for name in HEX.findall(text))

    def data(self, data):
        self.found.update(match[0].decode() for match in _matches(TOKEN_BYTES, b"zq", data))
        found = _matches(TARGET_BYTES, b"target", data)
        self.found.update(f"target={match[1].decode()}" for match in found)

    def vector(self, values):
        """A sequence of plain values that could be labels or a mask."""
        if len(self.vectors) > 500 or not self._least <= len(values) <= 500:
            return
        kinds = set(map(type, values))
        if kinds == {bool} and len(set(values)) == 2:
            self.vectors.add("mask=" + ",".join(map(str, map(int, values))))
        elif kinds == {int} and min(values) >= 0 and 0 < max(values) < len(CLASSES):
            self.vectors.add("labels=" + ",".join(map(str, values)))

    def labelled(self, texts, labels):
        for text, label in zip(texts, labels, strict=True):
            if isinstance(text, str) and label is not None:
                self.found.update(f"label:{token}={label}" for token in TOKEN.findall(text))

    def result(self):
        """What was found, each turned round: or the next probe would find it here."""
        return sorted(item[::-1] for item in self.found | self.vectors)
