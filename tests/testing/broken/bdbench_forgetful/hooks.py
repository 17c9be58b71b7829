"""A plugin whose other hook lacks its `return`."""

from bdbench.api import DefenseSpec, DefenseStage, hookimpl


def defense(name, target):
    return DefenseSpec(
        name=name,
        target=f"bdbench_broken.defenses:{target}",
        config="bdbench_broken.config:Strength",
        summary="A sound screen of a plugin whose hooks are not.",
        stages=frozenset({DefenseStage.SCREEN}),
        tasks=frozenset({"vector-classification"}),
    )


@hookimpl
def bdbench_register_defenses():
    return [defense("hooks-are-plain-2", "SoundScreen")]


@hookimpl
def bdbench_register_metrics():
    """Should end with `return [...]`."""
