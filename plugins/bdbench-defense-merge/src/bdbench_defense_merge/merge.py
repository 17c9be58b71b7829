"""Merging the victim with reference models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from bdbench.api import Checkpoint, DefenderView, Defense, InputError, Repair
from bdbench.toolkit.weights import Rule, check_mergeable, combine
from bdbench_defense_merge.adapters import check_equal_scaling
from bdbench_defense_merge.averages import mean, slerp, weighted_mean
from bdbench_defense_merge.config import MergeConfig, MethodName
from bdbench_defense_merge.fisher import fisher
from bdbench_defense_merge.merging import Merging
from bdbench_defense_merge.products import combine_products
from bdbench_defense_merge.regmean import regmean
from bdbench_defense_merge.task_vectors import dare, task_arithmetic, ties

__all__ = ["Merge"]

_METHODS: Mapping[MethodName, Callable[..., Rule]] = {
    "mean": mean,
    "weighted-mean": weighted_mean,
    "slerp": slerp,
    "task-arithmetic": task_arithmetic,
    "ties": ties,
    "dare": dare,
    "fisher": fisher,
    "regmean": regmean,
}


class Merge(Defense):
    """WAG and its relatives: a model between the victim and models that were trained otherwise.

    Every floating tensor takes part: embeddings, normalisation, classifier head.
    """

    config: MergeConfig

    def repair(self, victim: Checkpoint, view: DefenderView) -> Repair:
        """Writes the merged model to ``view.workspace / "model"``.

        Raises:
            InputError: The models do not correspond, or fewer references are granted than the
                settings name.
            NonFiniteError: A model or the result holds NaN or infinity.
        """
        references = self._references(view)
        models = {f"reference {n}": model for n, model in enumerate(references, start=1)}
        models = {"victim": victim, **models}
        notes = {"method": self.config.method, "models_merged": len(models)}
        if self.config.lora == "products":
            weights = self.config.weights or [1.0] * len(models)
            checkpoint, facts = combine_products(models, weights, view.workspace / "model")
            return Repair(checkpoint, notes={**notes, "lora": "products", **facts})
        check_equal_scaling(models)
        parts = {**models, "base weights": view.base} if self.config.uses_base else models
        checkpoints, names = list(parts.values()), list(parts)
        # Checked here too, since a method may read the weights before `combine` does.
        check_mergeable(checkpoints, names)
        with ExitStack() as files:
            merging = Merging(models, view, files)
            rule = _METHODS[self.config.method](merging, **self.config.settings())
            made = combine(checkpoints, view.workspace / "model", rule, names=names)
        return Repair(
            made.checkpoint,
            notes={
                **notes,
                "tensors": made.tensors,
                "tensors_changed": made.changed_tensors,
                "parameters": made.parameters,
                "share_of_parameters_changed": made.changed_parameters / max(1, made.parameters),
                **merging.notes,
            },
        )

    def _references(self, view: DefenderView) -> tuple[Checkpoint, ...]:
        granted, used = view.references, self.config.used_references
        if used is not None and used > len(granted):
            raise InputError(
                "fewer reference models are granted than the defense is set to use",
                where="merge",
                found=f"{len(granted)} granted",
                expected=f"{used} or more",
                next="name more under `defender: references:`, or set `references` lower",
            )
        return granted[:used]
