"""One training loop for all systems, on one process or many, that ends the same whether or not it was interrupted."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from vsrpp_lite.data import Batch, Dataset, atomic, batches, home
from vsrpp_lite.distributed import gather
from vsrpp_lite.evaluate import evaluate
from vsrpp_lite.global_alignment import ranking_loss
from vsrpp_lite.matcher import Encoded, Matcher

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

RELEASED_BATCH = 128
"""Released code sums ranking losses over a batch of 128 and averages the caption loss. We average both and
multiply the first by 128, so that their balance is the released one at any batch size."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is fixed before training starts and changes its result."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 2e-4
    decay_every: int = 10
    """Epochs after which the learning rate falls to a tenth."""
    warmup_epochs: int = 1
    """Epochs of summed hinges before the hardest negative alone counts."""
    clip: float = 2.0
    """Largest norm of the whole gradient."""
    precision: str = "32-true"
    """Lightning Fabric's: 32-true or bf16-mixed. (16-mixed needs a loss scaler, which a clipped fused Adam refuses.)"""

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, f.type(getattr(self, f.name)))
        for name in ("epochs", "batch_size", "decay_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")


def batch_losses(
    model: Callable, matcher: Matcher, batch: Batch, fabric: "Fabric", *, hardest: bool, decays: float = 0.0
) -> dict[str, Tensor]:
    """Every loss of a batch by name, per caption: a hinge for each trained similarity, then what the matcher adds."""
    images, texts, added = model(batch)
    everyone = tuple(Encoded(*(gather(fabric, x) for x in encoded)) for encoded in (images, texts))
    image_ids = gather(fabric, batch.image_ids)
    losses = {}
    # Not under autocast: Fabric hands out encodings in float32, and at half precision hardest negatives would tie.
    for name, similarity in matcher.hinged.items():
        rows = similarity(images, everyone[1])
        columns = rows if fabric.world_size == 1 else similarity(everyone[0], texts)
        first = fabric.global_rank * len(rows)
        ids = batch.image_ids, image_ids
        losses[name] = ranking_loss(rows, columns, *ids, first, margin=matcher.margin, hardest=hardest)
    for name, contrast in matcher.contrasted.items():
        negatives = batch.image_ids[:, None] != image_ids
        losses[name] = contrast((images, texts), everyone, negatives, decays)
    return losses | added


def total(matcher: Matcher, losses: dict[str, Tensor]) -> Tensor:
    """The sum that is minimised."""
    return sum(loss if name in matcher.added else RELEASED_BATCH * loss for name, loss in losses.items())


def fit(
    matcher: Matcher,
    train: Dataset,
    dev: Dataset,
    training: Training,
    *,
    seed: int,
    folder: Path,
    fabric: "Fabric",
) -> None:
    """Train to the end, from where `folder` says that an earlier call was stopped.

    Leaves `best.pt`, the weights of the epoch with the highest rsum on `dev`, `last.pt`, from which to resume,
    and `history.jsonl`, one line an epoch. Order, dropout and schedule are functions of (seed, epoch), so an
    interrupted training and an undisturbed one, on as many threads, end in the same weights.
    """
    tokens = matcher.vocabulary.encode_all(train.captions, cache=home() / "data" / ".tokens")
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # it has no version for CPUs
        nn.SyncBatchNorm.convert_sync_batchnorm(matcher)
    adam = torch.optim.Adam(matcher.parameters(), lr=training.learning_rate, fused=True)
    model, optimizer = fabric.setup(matcher, adam)
    history = _resume(folder / "last.pt", matcher, adam)
    for epoch in range(len(history), training.epochs):
        _seed(seed, epoch, fabric.global_rank)
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate * 0.1 ** (epoch // training.decay_every)
        hardest = epoch >= training.warmup_epochs
        means = _epoch(
            model, matcher, optimizer, train, tokens, training, fabric, seed=seed, epoch=epoch, hardest=hardest
        )
        recalls = evaluate(matcher, dev)
        history.append({"epoch": epoch, "loss": means, "dev": recalls})
        _name_plateau(history, matcher, training, folder.name)
        log.info("%s epoch %d loss %s dev rsum %.1f", folder.name, epoch, means, recalls["rsum"])
        if fabric.is_global_zero:
            if recalls["rsum"] >= max(record["dev"]["rsum"] for record in history):
                save(matcher.state_dict(), folder / "best.pt")
            state = {"model": matcher.state_dict(), "optimizer": adam.state_dict(), "history": history}
            replace(folder / "history.jsonl", "".join(json.dumps(record) + "\n" for record in history))
            save(state, folder / "last.pt")
        fabric.barrier()


def _epoch(
    model: Any,
    matcher: Matcher,
    optimizer: Any,
    train: Dataset,
    tokens: list[np.ndarray],
    training: Training,
    fabric: "Fabric",
    *,
    seed: int,
    epoch: int,
    hardest: bool,
) -> dict[str, float]:
    """One pass over the captions; the mean of each loss."""
    matcher.train()
    sums: dict[str, Tensor] = {}
    place = {"rank": fabric.global_rank, "world": fabric.world_size, "device": fabric.device}
    decays = epoch / training.decay_every
    steps = 0
    for batch in batches(train, tokens, training.batch_size, seed=seed, epoch=epoch, **place):
        losses = batch_losses(model, matcher, batch, fabric, hardest=hardest, decays=decays)
        optimizer.zero_grad()
        fabric.backward(total(matcher, losses))
        norm = fabric.clip_gradients(model, optimizer, max_norm=training.clip, error_if_nonfinite=False)
        if not norm.isfinite():  # it has not reached the weights
            found = {name: round(loss.item(), 3) for name, loss in losses.items()}
            raise FloatingPointError(f"epoch {epoch}, step {steps}: gradient not finite, losses {found}")
        optimizer.step()
        steps += 1
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss.detach()
    return {name: round(fabric.all_reduce(value / steps).item(), 6) for name, value in sums.items()}


def _name_plateau(history: list[dict], matcher: Matcher, training: Training, name: str) -> None:
    """Hardest negatives have one famous failure: all similarities equal, the loss of a pair at twice the margin.

    Two epochs there in a row are a rest; one may be a loss on its way down.
    """
    last_two = history[training.warmup_epochs :][-2:]
    for loss in matcher.hinged:
        values = [record["loss"][loss] for record in last_two]
        if len(values) == 2 and all(abs(value - 2 * matcher.margin) < 0.02 * matcher.margin for value in values):
            log.warning(
                "%s, epoch %d: the %s loss rests at %.3f a pair, twice the margin: all similarities are about equal "
                "and hardest negatives teach nothing. Try more summed hinges (warmup_epochs) or a lower rate.",
                name,
                history[-1]["epoch"],
                loss,
                values[-1],
            )


def _seed(seed: int, epoch: int, rank: int) -> None:
    """Seed dropout from where training stands, so that resuming needs no stored generator."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0]))


def _resume(path: Path, matcher: Matcher, optimizer: torch.optim.Optimizer) -> list[dict]:
    if not path.exists():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    matcher.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["history"]


def save(state: dict, path: Path) -> None:
    """`torch.save` that leaves the old file or the new, never half of one."""
    with atomic(path) as draft:
        torch.save(state, draft)


def replace(path: Path, content: str) -> None:
    """Write a text file that readers see whole or not at all."""
    with atomic(path) as draft:
        draft.write_text(content, encoding="utf-8", newline="\n")
