"""Learning which words to substitute, together with a victim of the attacker's own.

Qi et al. (2021): the rows to be poisoned go through the substitution, softened so that
gradients pass, and count with the target's label; the others go in as they are. One loss
trains both the victim, to react to the substituted words, and the substitution, to find words
that it reacts to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from bdbench.api import Checkpoint, Engine, Examples, InputError, Recipe, SeedStream
from bdbench_attack_weights.lws_config import LwsConfig
from bdbench_attack_weights.substitution import Substitution

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["learn_substitution", "longest"]


def longest(engine: Engine, like: Checkpoint, rows: Examples) -> int:
    """How many tokens the victim sees of the longest row.

    Raises:
        InputError: The model does not read token numbers.
    """
    widths: list[int] = []
    for inputs, _ in engine.batches(like, rows, 64, SeedStream(0)):
        if not isinstance(inputs, dict) or "input_ids" not in inputs:
            raise InputError(
                "the attack needs a model that reads tokens",
                where="lws",
                found=f"batches of type {type(inputs).__name__}",
                expected="a mapping with input_ids, as models of transformers have it",
                next="choose another model for this attack",
            )
        widths.append(inputs["input_ids"].shape[1])
    return max(widths)


def learn_substitution(
    engine: Engine,
    module: PreTrainedModel,
    like: Checkpoint,
    rows: Examples,
    poisoned: Sequence[bool],
    target: int,
    substitution: Substitution,
    config: LwsConfig,
    seeds: SeedStream,
) -> float:
    """Trains the module and the substitution in place.

    Args:
        engine: Does and counts the work.
        module: The attacker's victim, a model of transformers.
        like: A checkpoint that it came from.
        rows: The clean training rows.
        poisoned: True for each row that is to be poisoned.
        target: The class that these rows get.
        substitution: What is learned.
        config: Epochs, rates, temperatures.
        seeds: Decides order, dropout and Gumbel noise.

    Returns:
        The mean loss of the last epoch.
    """
    if config.clean_epochs:
        recipe = Recipe(
            epochs=config.clean_epochs,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
        )
        engine.fine_tune(module, like, rows, recipe, seeds.child("clean"))
    substitution.to(module.device)
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(
        [
            {"params": trained, "lr": config.learning_rate},
            {"params": list(substitution.parameters()), "lr": config.substitution_rate},
        ]
    )
    # The engine hands out inputs and answers only: here the answer is the row's number.
    numbered = rows.with_labels(range(len(rows)))
    labels = [target if hit else label for hit, label in zip(poisoned, rows.labels, strict=True)]
    steps = config.epochs * -(-len(rows) // config.batch_size)
    losses: list[float] = []
    module.train()
    with torch.random.fork_rng():
        torch.manual_seed(seeds.child("noise").seed())
        for epoch in range(config.epochs):
            order = seeds.child("order", epoch)
            for inputs, numbers in engine.batches(like, numbered, config.batch_size, order):
                hits = [place for place, number in enumerate(numbers) if poisoned[number]]
                temperature = _temperature(config, len(losses) / max(1, steps - 1))
                embedded = _substituted(module, inputs, hits, substitution, temperature)
                answers = [labels[number] for number in numbers]
                loss = engine.loss(module, embedded, answers).mean()
                engine.step(optimizer, loss, len(numbers), max_norm=1.0)
                losses.append(loss.item())
    module.train(mode=False)
    last = losses[-(steps // config.epochs) :]
    return sum(last) / len(last)


def _temperature(config: LwsConfig, progress: float) -> float:
    return config.temperature + progress * (config.last_temperature - config.temperature)


def _substituted(
    module: PreTrainedModel,
    inputs: Mapping[str, torch.Tensor],
    hits: Sequence[int],
    substitution: Substitution,
    temperature: float,
) -> dict[str, torch.Tensor]:
    """The batch as embeddings, with some of its rows substituted."""
    ids = inputs["input_ids"]
    embedded = module.get_input_embeddings()(ids)
    if hits:
        places = torch.tensor(hits, device=ids.device)
        mixed = substitution.mix(ids[places], temperature)
        embedded = embedded.index_copy(0, places, mixed.to(embedded.dtype))
    others = {name: value for name, value in inputs.items() if name != "input_ids"}
    return {**others, "inputs_embeds": embedded}
