"""A plugin with a wrapper of the old kind."""

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
    return [defense("hooks-are-plain", "SoundScreen")]


@hookimpl(hookwrapper=True)
def bdbench_run_finished(event):
    yield
