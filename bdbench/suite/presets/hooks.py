"""The presets, registered like anybody's suites.

Apart from the host's other components: a new preset changes no identity.
"""

from __future__ import annotations

from bdbench.api import SuiteSpec, hookimpl

__all__ = ["bdbench_register_suites"]

PRESETS = {
    "quickstart": "SMS spam, MiniLM, BadNets and InsertSent, one seed: minutes on two cores.",
    "sms-core": "SMS spam, MiniLM, five attacks, ten defenses, three seeds; needs no hub.",
    "sst2-core": "SST-2, MiniLM, attacks on data, training and weights, three seeds.",
    "sst2-variants": "SST-2, MiniLM, relatives and other settings of the defenses, three seeds.",
    "sst2-merging": "SST-2, MiniLM, eight ways to merge, three seeds.",
    "sst2-collusion": "SST-2, MiniLM, merging with a model that has the same trigger.",
    "sst2-matched": "SST-2, MiniLM, repairs tuned to the same clean accuracy, three seeds.",
    "sst2-paraphrase": "SST-2, MiniLM, syntactic and style triggers from files of your own.",
    "agnews-core": "AG News, MiniLM, four classes, three seeds.",
    "sst2-bert-base": "SST-2, BERT-base, published relations beside it; needs a GPU.",
    "sst2-roberta-large": "SST-2, RoBERTa-large, published figures beside it; needs a GPU.",
}


@hookimpl
def bdbench_register_suites() -> list[SuiteSpec]:
    """Presets."""
    return [
        SuiteSpec(name=name, target=f"bdbench.suite:presets/{name}.yaml", summary=summary)
        for name, summary in PRESETS.items()
    ]
