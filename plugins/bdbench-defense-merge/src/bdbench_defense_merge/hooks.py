"""What this plugin registers."""

from __future__ import annotations

from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl

CITATION = """\
@inproceedings{arora2024free,
  title = {Here's a Free Lunch: Sanitizing Backdoored Models with Model Merge},
  author = {Arora, Ansh and He, Xuanli and Mozes, Maximilian and Swain, Srinibas and Dras, Mark
            and Xu, Qiongkai},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2024},
  year = {2024},
  note = {arXiv:2402.19334},
}
@inproceedings{matena2022merging,
  title = {Merging Models with Fisher-Weighted Averaging},
  author = {Matena, Michael S. and Raffel, Colin A.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2022},
  note = {arXiv:2111.09832},
}
@inproceedings{jin2023dataless,
  title = {Dataless Knowledge Fusion by Merging Weights of Language Models},
  author = {Jin, Xisen and Ren, Xiang and Preotiuc-Pietro, Daniel and Cheng, Pengxiang},
  booktitle = {The Eleventh International Conference on Learning Representations},
  year = {2023},
  note = {arXiv:2212.09849},
}
@inproceedings{hu2022lora,
  title = {{LoRA}: Low-Rank Adaptation of Large Language Models},
  author = {Hu, Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and
            Li, Yuanzhi and Wang, Shean and Wang, Lu and Chen, Weizhu},
  booktitle = {International Conference on Learning Representations},
  year = {2022},
  note = {arXiv:2106.09685},
}
"""

MERGE = DefenseSpec(
    name="merge",
    target="bdbench_defense_merge.merge:Merge",
    config="bdbench_defense_merge.config:MergeConfig",
    summary="Averages the victim's weights with those of reference models (WAG and relatives).",
    citation=CITATION,
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, references=1),
)


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The defense of this plugin."""
    return [MERGE]
