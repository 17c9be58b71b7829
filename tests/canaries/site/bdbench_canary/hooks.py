"""What the canaries declare."""

from bdbench.api import (
    Access,
    AttackSpec,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    Direction,
    MetricSpec,
    MetricValue,
    Needs,
    SuiteSpec,
    Surface,
    hookimpl,
)
from bdbench_canary.names import PROBES


@hookimpl
def bdbench_register_datasets():
    return [
        DatasetSpec(
            name="canary-rows",
            target="bdbench_canary.rows:Rows",
            config="bdbench_canary.config:RowsConfig",
            summary="Rows that can be told apart wherever they turn up.",
            task="text-classification",
        )
    ]


@hookimpl
def bdbench_register_suites():
    return [
        SuiteSpec(
            name="canary-preset",
            target="bdbench_canary:preset.yaml",
            summary="What a plugin brings with triggers in it.",
        )
    ]


@hookimpl
def bdbench_register_attacks():
    return [
        AttackSpec(
            name="canary-attack",
            target="bdbench_canary.parts:Attacker",
            config="bdbench_canary.config:AttackConfig",
            summary="Puts a word in front, and looks around.",
            surfaces=frozenset({Surface.DATA}),
        )
    ]


@hookimpl
def bdbench_register_defenses():
    def spec(name, target, stage, **needs):
        return DefenseSpec(
            name=f"canary-{name}",
            target=f"bdbench_canary.parts:{target}",
            summary="Looks around.",
            stages=frozenset({stage}),
            needs=Needs(**needs),
        )

    weights = Access.WEIGHTS
    granted = {"access": weights, "clean_rows": 4, "references": 1, "base_weights": True}
    return [
        spec("repair", "Repairer", DefenseStage.REPAIR, **granted),
        spec("smuggler", "Smuggler", DefenseStage.REPAIR, access=weights),
        spec("late-smuggler", "LateSmuggler", DefenseStage.REPAIR, access=weights),
        spec("screen", "Screener", DefenseStage.SCREEN),
        spec("model-screen", "Screener", DefenseStage.SCREEN, access=Access.OUTPUTS),
        spec("filter", "Filterer", DefenseStage.FILTER, training_data=True),
    ]


@hookimpl
def bdbench_register_metrics():
    return [
        MetricSpec(
            name="canary-metric",
            target="bdbench_canary.parts:Measurer",
            summary="Looks around.",
            values=tuple(
                MetricValue(
                    name=f"found_{name}",
                    summary="How many secrets.",
                    direction=Direction.LOWER,
                    unit="secrets",
                )
                for name in PROBES
            ),
        )
    ]
