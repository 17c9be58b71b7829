"""What a source of data implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from bdbench.api.data import Splits

__all__ = ["Dataset"]


class Dataset(ABC):
    """The base of every data set.

    Args:
        config: The validated configuration; store it and do nothing else.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def load(self) -> Splits:
        """Reads the data. The same configuration must always give the same rows.

        Ids number the rows of the source split, so that a sampled row keeps its number.

        Raises:
            InputError: The data cannot be had or are not as described.
        """
