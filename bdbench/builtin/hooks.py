"""What comes with the host, registered as any plugin's components are."""

from __future__ import annotations

from bdbench.api import (
    AttackSpec,
    DatasetSpec,
    DefenseSpec,
    ModelSpec,
    hookimpl,
)

TEXT = frozenset({"text-classification", "text-pair-classification"})

SMS_CITATION = """\
@inproceedings{almeida2011sms,
  title     = {Contributions to the Study of {SMS} Spam Filtering: New Collection and Results},
  author    = {Almeida, Tiago A. and G{\\'o}mez Hidalgo, Jos{\\'e} Mar{\\'i}a and Yamakami, Akebo},
  booktitle = {Proceedings of the 11th ACM Symposium on Document Engineering},
  year      = {2011}
}"""


@hookimpl
def bdbench_register_attacks() -> list[AttackSpec]:
    """The control."""
    return [
        AttackSpec(
            name="none",
            target="bdbench.builtin.baselines:NoAttack",
            summary="No attack: trains the control, whose ASR is the floor.",
        )
    ]


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The undefended baseline."""
    return [
        DefenseSpec(
            name="none",
            target="bdbench.builtin.baselines:NoDefense",
            summary="No defense: the victim as it is.",
        )
    ]


@hookimpl
def bdbench_register_datasets() -> list[DatasetSpec]:
    """Bundled data, local files, the hub."""
    return [
        DatasetSpec(
            name="sms-spam",
            target="bdbench.builtin.datasets_sms:SmsSpam",
            config="bdbench.builtin.datasets_config:SmsSpamConfig",
            summary="SMS Spam Collection: ham or spam; comes with bdbench (CC BY 4.0).",
            task="text-classification",
            tasks=TEXT,
            citation=SMS_CITATION,
        ),
        DatasetSpec(
            name="files",
            target="bdbench.builtin.datasets_files:Files",
            config="bdbench.builtin.datasets_config:FilesConfig",
            summary="Local parquet, CSV or JSON files of texts or text pairs.",
            tasks=TEXT,
        ),
        DatasetSpec(
            name="hub",
            target="bdbench.builtin.datasets_hub:HubDataset",
            config="bdbench.builtin.datasets_config:HubDatasetConfig",
            summary="A data set of the Hugging Face hub: hf:org/name@revision.",
            tasks=TEXT,
        ),
    ]


@hookimpl
def bdbench_register_models() -> list[ModelSpec]:
    """Models from the hub, from a folder, from a configuration."""
    return [
        ModelSpec(
            name="hub",
            target="bdbench.builtin.models_hub:HubModel",
            config="bdbench.builtin.models_config:HubModelConfig",
            summary="An encoder of the Hugging Face hub: hf:org/name@revision.",
            tasks=TEXT,
        ),
        ModelSpec(
            name="folder",
            target="bdbench.builtin.models_folder:FolderModel",
            config="bdbench.builtin.models_config:FolderModelConfig",
            summary="A pre-trained encoder in a local folder, as transformers saves it.",
            tasks=TEXT,
        ),
        ModelSpec(
            name="tiny-bert",
            target="bdbench.builtin.models_tiny:TinyBert",
            config="bdbench.builtin.models_config:TinyBertConfig",
            summary="A small BERT made from its settings, without pre-training: for mechanics.",
            tasks=TEXT,
        ),
    ]
