"""What the toy plugin brings."""

from bdbench.api import (
    Access,
    AttackSpec,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    Direction,
    MetricSpec,
    MetricValue,
    ModelSpec,
    Needs,
    Subject,
    Surface,
    hookimpl,
)

TASKS = frozenset({"vector-classification"})


@hookimpl
def bdbench_register_attacks():
    return [
        AttackSpec(
            name="toy-patch",
            target="bdbench_toy.parts:Patch",
            config="bdbench_toy.config:PatchConfig",
            summary="Sets one coordinate to a large value.",
            surfaces=frozenset({Surface.DATA}),
            tasks=TASKS,
        ),
        *(
            AttackSpec(
                name=f"toy-{name}",
                target="bdbench_toy.parts:Tamper",
                config="bdbench_toy.config:PatchConfig",
                summary=f"Patches, and is at work on {', '.join(surfaces)}.",
                surfaces=frozenset(map(Surface, surfaces)),
                tasks=TASKS,
                **more,
            )
            for name, surfaces, more in (
                ("published", ["pretrained"], {"probes_victim": True}),
                ("trained", ["data", "training"], {"makes_variants": True}),
                ("edited", ["weights"], {}),
                ("learned", ["data"], {"uses_model": True}),
            )
        ),
    ]


@hookimpl
def bdbench_register_defenses():
    def spec(name, target, stage, grid=(), **needs):
        return DefenseSpec(
            name=name,
            target=f"bdbench_toy.parts:{target}",
            config="bdbench_toy.config:ToyDefenseConfig",
            summary=f"Toy defense {name}.",
            stages=frozenset({stage}),
            needs=Needs(**needs),
            grid=grid,
            tasks=TASKS,
        )

    strengths = tuple({"strength": step / 10} for step in (1, 3, 5, 7, 9))
    weights = Access.WEIGHTS
    return [
        spec("toy-mean", "Mean", DefenseStage.REPAIR, access=weights, references=1),
        spec("toy-tune", "Tune", DefenseStage.REPAIR, strengths, access=weights, clean_rows=8),
        spec("toy-peek", "Peek", DefenseStage.REPAIR, access=weights),
        spec("toy-nan", "Poisonous", DefenseStage.REPAIR, access=weights),
        spec("toy-sleep", "Sleep", DefenseStage.REPAIR, access=weights),
        spec("toy-hoard", "Hoard", DefenseStage.REPAIR, access=weights),
        spec("toy-crash", "Crash", DefenseStage.REPAIR, access=weights),
        spec("toy-base", "Base", DefenseStage.REPAIR, access=weights, base_weights=True),
        spec("toy-hire", "Hire", DefenseStage.REPAIR, access=weights),
        spec("toy-ask", "Ask", DefenseStage.SCREEN, access=Access.OUTPUTS),
        spec("toy-clip", "Clip", DefenseStage.SCREEN),
        spec("toy-filter", "Filter", DefenseStage.FILTER, training_data=True),
    ]


@hookimpl
def bdbench_register_models():
    return [
        ModelSpec(
            name="toy-linear",
            target="bdbench_toy.parts:Linear",
            config="bdbench_toy.config:LinearConfig",
            summary="One hidden layer.",
            tasks=TASKS,
        )
    ]


@hookimpl
def bdbench_register_datasets():
    return [
        DatasetSpec(
            name="toy-blobs",
            target="bdbench_toy.parts:Blobs",
            config="bdbench_toy.config:BlobsConfig",
            summary="Two Gaussian clouds.",
            task="vector-classification",
        )
    ]


@hookimpl
def bdbench_register_metrics():
    return [
        MetricSpec(
            name="toy-rates",
            target="bdbench_toy.parts:Rates",
            summary="Accuracy and ASR.",
            values=(
                MetricValue(
                    name="clean_accuracy",
                    summary="Accuracy.",
                    direction=Direction.HIGHER,
                    bounds=(0, 1),
                ),
                MetricValue(name="asr", summary="ASR.", direction=Direction.LOWER, bounds=(0, 1)),
                MetricValue(
                    name="asr_floor", summary="Floor.", direction=Direction.NONE, bounds=(0, 1)
                ),
            ),
        ),
        MetricSpec(
            name="toy-shift",
            target="bdbench_toy.parts:Shift",
            summary="How far the trigger moves a row.",
            values=(MetricValue(name="shift", summary="Distance.", direction=Direction.LOWER),),
            subject=Subject.ATTACK,
        ),
        MetricSpec(
            name="toy-variants",
            target="bdbench_toy.parts:Variants",
            summary="How many rows of a variant get the target; accuracy by class.",
            values=(
                MetricValue(name="weak_asr", summary="ASR.", direction=Direction.LOWER),
                MetricValue(
                    name="accuracy", summary="Accuracy.", direction=Direction.HIGHER, per_class=True
                ),
            ),
        ),
    ]
