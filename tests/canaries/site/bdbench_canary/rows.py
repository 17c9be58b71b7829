"""Rows of which every one bears a token."""

import hashlib

from bdbench.api import Dataset, Examples, Splits, Task
from bdbench_canary.tokens import CLASSES, fixed

SIZES = {"train": 60, "test": 42, "pool": 30}
WORDS = ("apple", "river", "stone", "cloud", "table", "green", "seven", "north")


def make_rows(split, seed):
    texts, labels = [], []
    for number in range(SIZES[split]):
        digest = hashlib.sha256(f"{seed}-{split}-{number}".encode()).digest()
        labels.append(digest[0] % len(CLASSES))
        words = " ".join(WORDS[byte % len(WORDS)] for byte in digest[1:4])
        texts.append(f"{words} {fixed(split, seed, number)}")
    return Examples({"text": texts}, labels, list(range(len(texts))))


class Rows(Dataset):
    def load(self):
        train, test, pool = (make_rows(split, self.config.seed) for split in SIZES)
        return Splits(Task("text-classification", ("text",), CLASSES), train, test, pool)
