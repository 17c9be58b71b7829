"""The executors of the host, registered like anybody's.

Apart from the components that can change a result: how stages are run changes no identity.
"""

from __future__ import annotations

from bdbench.api import ExecutorSpec, hookimpl

__all__ = ["bdbench_register_executors"]


@hookimpl
def bdbench_register_executors() -> list[ExecutorSpec]:
    """This machine."""
    return [
        ExecutorSpec(
            name="local",
            target="bdbench.execution.local:LocalExecutor",
            config="bdbench.execution.config:LocalConfig",
            summary="Worker processes on this machine, components kept apart.",
        ),
        ExecutorSpec(
            name="inline",
            target="bdbench.execution.local:InlineExecutor",
            summary="Everything in the main process, nothing kept apart: for debuggers.",
        ),
    ]
