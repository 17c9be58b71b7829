"""Everything that a plugin imports. Neither this nor what it imports brings in torch.

Heavy ready-made parts (model families, streaming weight arithmetic) are in `bdbench.toolkit`,
for a plugin's own heavy modules.
"""

from bdbench.api.attacks import (
    Attack,
    AttackerView,
    EditsPretrained,
    EditsWeights,
    MakesVariants,
    Poisoning,
    PoisonsData,
    ProbesVictim,
    Tampering,
    TampersTraining,
    choose_poison_rows,
)
from bdbench.api.config import ComponentConfig, DefenseConfig, PoisonConfig
from bdbench.api.data import Examples, Splits, Task
from bdbench.api.datasets import Dataset
from bdbench.api.defenses import (
    DefenderView,
    Defense,
    Filtering,
    FiltersData,
    Repair,
    RepairsModel,
    Screening,
    ScreensInputs,
    Selection,
)
from bdbench.api.errors import (
    BdbenchError,
    InputError,
    NonFiniteError,
    NotGrantedError,
    PluginError,
    StoreError,
)
from bdbench.api.events import CellEvent, PlanBuilt, RunEvent, StageEvent
from bdbench.api.execution import Executor, StageOutcome, StageTask
from bdbench.api.hooks import hookimpl
from bdbench.api.metrics import (
    ABSTAIN,
    AttackEvidence,
    AttackMetric,
    Decisions,
    Evidence,
    Metric,
    Predictions,
)
from bdbench.api.models import Checkpoint, Engine, Model, Outputs, Recipe
from bdbench.api.needs import Access, Needs
from bdbench.api.reporters import Reporter
from bdbench.api.seeds import SeedStream
from bdbench.api.specs import (
    AttackSpec,
    ComponentSpec,
    DatasetSpec,
    DefenseSpec,
    DefenseStage,
    Direction,
    ExecutorSpec,
    MetricSpec,
    MetricValue,
    ModelSpec,
    ReporterSpec,
    Subject,
    SuiteSpec,
    Surface,
)
from bdbench.api.version import API_VERSION

__all__ = [
    "ABSTAIN",
    "API_VERSION",
    "Access",
    "Attack",
    "AttackEvidence",
    "AttackMetric",
    "AttackSpec",
    "AttackerView",
    "BdbenchError",
    "CellEvent",
    "Checkpoint",
    "ComponentConfig",
    "ComponentSpec",
    "Dataset",
    "DatasetSpec",
    "Decisions",
    "DefenderView",
    "Defense",
    "DefenseConfig",
    "DefenseSpec",
    "DefenseStage",
    "Direction",
    "EditsPretrained",
    "EditsWeights",
    "Engine",
    "Evidence",
    "Examples",
    "Executor",
    "ExecutorSpec",
    "Filtering",
    "FiltersData",
    "InputError",
    "MakesVariants",
    "Metric",
    "MetricSpec",
    "MetricValue",
    "Model",
    "ModelSpec",
    "Needs",
    "NonFiniteError",
    "NotGrantedError",
    "Outputs",
    "PlanBuilt",
    "PluginError",
    "PoisonConfig",
    "Poisoning",
    "PoisonsData",
    "Predictions",
    "ProbesVictim",
    "Recipe",
    "Repair",
    "RepairsModel",
    "Reporter",
    "ReporterSpec",
    "RunEvent",
    "Screening",
    "ScreensInputs",
    "SeedStream",
    "Selection",
    "Splits",
    "StageEvent",
    "StageOutcome",
    "StageTask",
    "StoreError",
    "Subject",
    "SuiteSpec",
    "Surface",
    "Tampering",
    "TampersTraining",
    "Task",
    "choose_poison_rows",
    "hookimpl",
]
