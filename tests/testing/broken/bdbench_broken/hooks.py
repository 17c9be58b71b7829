"""What the broken plugin brings."""

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
    Role,
    Surface,
    hookimpl,
)

VECTORS = frozenset({"vector-classification"})
CITATION = "@misc{key, title = {A {Title}}, author = {Someone}, year = {2020}}"


def attack(name, target, config="Poison", surface="data", **more):
    return AttackSpec(
        **{
            "name": name,
            "target": f"bdbench_broken.attacks:{target}",
            "config": f"bdbench_broken.config:{config}",
            "summary": target,
            "surfaces": frozenset({Surface(surface)}),
            "tasks": VECTORS,
            **more,
        }
    )


@hookimpl
def bdbench_register_attacks():
    return [
        attack("sound-attack", "Sound"),
        attack("sound-edits", "Edits", "Scale", "weights"),
        attack("runs-on-cpu", "Crashing"),
        attack("runs-on-cpu-2", "Leaving"),
        attack("runs-on-cpu-3", "Misspelling"),
        attack(
            "runs-for-each-task", "VectorsOnly", tasks=VECTORS | frozenset({"text-classification"})
        ),
        attack("global-rng-untouched", "Drawing"),
        attack("inputs-not-mutated", "Mutating"),
        attack("inputs-not-mutated-2", "MutatingArrays"),
        attack("clean-test-untouched", "MutatingTests"),
        attack("clean-test-untouched-2", "MutatingOthers", makes_variants=True),
        attack("stays-within-its-box", "Writing"),
        attack("stays-within-its-box-2", "Setting"),
        attack("stays-within-its-box-3", "Wandering"),
        attack("same-seed-same-result", "Unseeded"),
        attack("survives-subprocess", "Hashing"),
        attack("poison-rate-exact", "OneTooFew"),
        attack("label-policy-respected", "OtherLabel"),
        attack("label-policy-respected-2", "NeverALabel"),
        attack("clean-label-true", "AlwaysALabel"),
        attack("clean-label-true-2", "OtherClasses"),
        attack("mask-marks-exactly-changed", "WrongMask"),
        attack("order-ids-and-labels-kept", "Relabelling"),
        attack("order-ids-and-labels-kept-2", "Reordering", makes_variants=True),
        attack("eligible-rows-are-of-other-classes", "EligibleAll"),
        attack("trigger-changes-every-input", "OneLeftOut"),
        attack("trigger-independent-of-batch", "Sequential"),
        attack("trigger-independent-of-batch-2", "ByBatch"),
        attack("tampering-writes-new-model", "SameModel", "Scale", "weights"),
        attack("tampering-writes-new-model-2", "Beside", "Scale", "weights"),
        attack("declared-matches-implemented-3", "Unsettable", "Scale"),
    ]


def defense(name, target, stage="screen", config="config:Strength", needs=None, **more):
    return DefenseSpec(
        **{
            "name": name,
            "target": f"bdbench_broken.defenses:{target}",
            "config": f"bdbench_broken.{config}",
            "summary": target,
            "stages": frozenset({DefenseStage(stage)}),
            "needs": needs or Needs(),
            "tasks": VECTORS,
            **more,
        }
    )


WEIGHTS = Needs(access=Access.WEIGHTS, clean_rows=1)
ROWS = Needs(training_data=True)


@hookimpl
def bdbench_register_defenses():
    grid = ({"strength": 0.1}, {"strength": 0.9})
    return [
        defense("sound-screen", "SoundScreen", citation=CITATION),
        defense("sound-filter", "SoundFilter", "filter", needs=ROWS),
        defense("sound-repair", "SoundRepair", "repair", needs=WEIGHTS, grid=grid),
        defense("spec-is-light", "SoundScreen", config="heavy:Heavy"),
        defense("target-resolves", "Nowhere"),
        defense("declared-matches-implemented", "Unimplemented"),
        defense("declared-matches-implemented-2", "Undeclared"),
        defense("declared-matches-implemented-4", "WrongArguments"),
        defense("citation-parses", "SoundScreen", citation=CITATION[:-1]),
        defense("citation-parses-2", "SoundScreen", citation="Someone, A Title, 2020."),
        defense("citation-parses-3", "SoundScreen", citation="@misc{key, title = {A Title}}"),
        defense("config-forbids-unknown", "SoundScreen", config="config:Lenient"),
        defense("config-forbids-unknown-2", "SoundScreen", config="config:LenientWithin"),
        defense("config-fields-described", "SoundScreen", config="config:Undescribed"),
        defense("config-round-trips", "SoundScreen", config="config:Growing"),
        defense("config-round-trips-2", "SoundScreen", config="config:Touchy"),
        defense("init-has-no-effects", "Opening"),
        defense("stays-within-its-box-4", "Connecting"),
        defense("stays-within-its-box-5", "Deleting"),
        defense("does-little-to-clean-model", "Destroying", "repair", needs=WEIGHTS),
        defense("does-little-to-clean-model-2", "RejectingAll"),
        defense("does-little-to-clean-model-3", "Blanking"),
        defense("does-little-to-clean-model-4", "DroppingMost", "filter", needs=ROWS),
        defense("works-blind", "Peeking"),
        defense("works-blind-2", "Prying"),
        defense("works-blind-3", "Asking"),
        defense("stays-within-needs", "OwnLoop", "repair", needs=WEIGHTS),
        defense("stays-within-needs-2", "Hidden"),
        defense("works-with-the-least-it-needs", "Greedy", "repair", needs=WEIGHTS),
        defense("repair-returns-new-model", "SameModel", "repair", needs=WEIGHTS),
        defense("decision-lengths-match", "NotFinite"),
        defense("decision-lengths-match-2", "Shuffling", "filter", needs=ROWS),
        defense("screen-is-batch-invariant", "Relative"),
        defense("handles-empty-and-single", "Stacking"),
        defense("handles-empty-and-single-2", "Pairing", "filter", needs=ROWS),
        defense(
            "grid-settings-are-valid",
            "SoundRepair",
            "repair",
            needs=WEIGHTS,
            grid=({"strength": 2.0},),
        ),
        defense(
            "grid-settings-are-valid-2", "SoundRepair", "repair", needs=WEIGHTS, grid=grid + grid
        ),
    ]


def metric(name, target, **value):
    fields = {
        "name": "share_right",
        "summary": "Accuracy.",
        "direction": Direction.HIGHER,
        "bounds": (0, 1),
        **value,
    }
    return MetricSpec(
        name=name,
        target=f"bdbench_broken.others:{target}",
        summary=target,
        values=(MetricValue(**fields),),
        tasks=VECTORS,
    )


@hookimpl
def bdbench_register_metrics():
    return [
        metric("sound-metric", "Accuracy", role=Role.UTILITY),
        metric("direction-declared", "Accuracy", summary=""),
        metric("gives-what-it-declares", "Talkative"),
        metric("nan-policy", "Dividing"),
        metric("within-bounds", "Percent"),
        metric("permutation-invariant", "FirstRow"),
        metric("rows-mean-is-value", "OtherRows"),
        metric("known-values", "Halved"),
    ]


def other(spec, name, target, **more):
    return spec(
        name=name,
        target=f"bdbench_broken.others:{target}",
        summary=target,
        tasks=VECTORS,
        **more,
    )


@hookimpl
def bdbench_register_models():
    return [
        other(ModelSpec, "sound-model", "Linear"),
        other(ModelSpec, "gives-one-answer-per-row", "Unsure"),
        other(ModelSpec, "answer-independent-of-batch", "Comparing"),
        other(ModelSpec, "saved-model-is-the-same", "Forgetting"),
        other(ModelSpec, "checkpoints-hold-data-only", "Pickling"),
    ]


@hookimpl
def bdbench_register_datasets():
    return [
        other(DatasetSpec, "sound-dataset", "Clouds", task="vector-classification"),
        other(DatasetSpec, "rows-fit-the-task", "Mislabelled"),
        other(DatasetSpec, "splits-share-no-row", "Overlapping"),
    ]
