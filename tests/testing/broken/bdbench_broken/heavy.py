"""Settings in a module that is slow to import."""

import torch
from pydantic import Field

from bdbench.api import ComponentConfig


class Heavy(ComponentConfig):
    threads: int = Field(default=torch.get_num_threads(), description="Threads.")
