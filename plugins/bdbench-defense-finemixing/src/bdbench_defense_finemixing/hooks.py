"""What this plugin registers."""

from __future__ import annotations

from bdbench.api import Access, DefenseSpec, DefenseStage, Needs, hookimpl
from bdbench_defense_finemixing.config import LEAST_ROWS

FINE_MIXING_CITATION = """\
@inproceedings{zhang2022finemixing,
  title = {Fine-mixing: Mitigating Backdoors in Fine-tuned Language Models},
  author = {Zhang, Zhiyuan and Lyu, Lingjuan and Ma, Xingjun and Wang, Chenguang and Sun, Xu},
  booktitle = {Findings of the Association for Computational Linguistics: EMNLP 2022},
  year = {2022},
  note = {arXiv:2210.09545},
}
"""

FINE_PURIFYING_CITATION = """\
@inproceedings{zhang2023diffusion,
  title = {Diffusion Theory as a Scalpel: Detecting and Purifying Poisonous Dimensions in
           Pre-trained Language Models Caused by Backdoor or Bias},
  author = {Zhang, Zhiyuan and Chen, Deli and Zhou, Hao and Meng, Fandong and Zhou, Jie
            and Sun, Xu},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2023},
  year = {2023},
  note = {arXiv:2305.04547},
}
"""

RESERVE_RATIOS = tuple({"rho": rho} for rho in (0.9, 0.7, 0.5, 0.3, 0.1))
"""What the host may try, gentlest first: the less of the victim is kept, the stronger."""

FINE_MIXING = DefenseSpec(
    name="fine-mixing",
    target="bdbench_defense_finemixing.fine_mixing:FineMixing",
    config="bdbench_defense_finemixing.config:FineMixingConfig",
    summary="Puts most weights back to the pre-trained ones, then fine-tunes on the clean rows.",
    citation=FINE_MIXING_CITATION,
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, clean_rows=LEAST_ROWS, base_weights=True),
    grid=RESERVE_RATIOS,
)

FINE_PURIFYING = DefenseSpec(
    name="fine-purifying",
    target="bdbench_defense_finemixing.fine_purifying:FinePurifying",
    config="bdbench_defense_finemixing.config:FinePurifyingConfig",
    summary="Puts back the weights that changed more than clean training explains, then tunes.",
    citation=FINE_PURIFYING_CITATION,
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, clean_rows=LEAST_ROWS, base_weights=True),
    grid=RESERVE_RATIOS,
)

FINE_TUNING = DefenseSpec(
    name="fine-tuning",
    target="bdbench_defense_finemixing.fine_tuning:FineTuning",
    config="bdbench_defense_finemixing.config:FineTuningConfig",
    summary="Fine-tunes the victim on the clean rows: what the other repairs must beat.",
    citation=FINE_MIXING_CITATION,
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, clean_rows=LEAST_ROWS),
)

E_PUR = DefenseSpec(
    name="e-pur",
    target="bdbench_defense_finemixing.e_pur:EPur",
    config="bdbench_defense_finemixing.config:EPurConfig",
    summary="Puts back the word embeddings that changed most for how rare the word is.",
    citation=FINE_MIXING_CITATION,
    tasks=frozenset({"text-classification", "text-pair-classification"}),
    stages=frozenset({DefenseStage.REPAIR}),
    needs=Needs(access=Access.WEIGHTS, base_weights=True),
)


@hookimpl
def bdbench_register_defenses() -> list[DefenseSpec]:
    """The defenses of this plugin."""
    return [FINE_MIXING, FINE_PURIFYING, FINE_TUNING, E_PUR]
