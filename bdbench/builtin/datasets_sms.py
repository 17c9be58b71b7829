"""The SMS Spam Collection, which comes with bdbench (see bdbench/data/sms_spam)."""

from __future__ import annotations

from importlib.resources import files

import pyarrow.parquet as pq

from bdbench.api import Dataset, Splits
from bdbench.builtin.datasets_config import SmsSpamConfig, TableConfig
from bdbench.builtin.datasets_tables import Source, splits_from_tables

__all__ = ["SmsSpam"]


class SmsSpam(Dataset):
    """Text messages, ham or spam; clean rows come from the validation split."""

    config: SmsSpamConfig

    def load(self) -> Splits:
        """Reads the bundled files; the three splits share no message."""
        columns = TableConfig(classes=["ham", "spam"], train_per_class=self.config.train_per_class)
        train, test, clean = (_split(name) for name in ("train", "test", "validation"))
        return splits_from_tables(train, test, clean, columns, where="sms-spam")


def _split(name: str) -> Source:
    place = files("bdbench") / "data" / "sms_spam" / f"{name}.parquet"
    with place.open("rb") as file:
        return Source(table=pq.read_table(file), where=f"sms-spam: {name}")
