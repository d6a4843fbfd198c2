"""One training loop for all systems, on one process or several. An interruption does not change its result."""

import json
import logging
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm.auto import tqdm

from vsrpp_lite.data.dataset import Dataset, batches, prefetched
from vsrpp_lite.data.text import hide_rare
from vsrpp_lite.matcher import Matcher, Progress, alone
from vsrpp_lite.sealed_folder import SealedFolder
from vsrpp_lite.settings import Training
from vsrpp_lite.training.distributed import gather
from vsrpp_lite.training.ranking import evaluate
from vsrpp_lite.training.run_folder import BEST, HISTORY, LAST, load_checkpoint, save_checkpoint

log = logging.getLogger(__name__)


def fit(
    matcher: Matcher,
    train: Dataset,
    dev: Dataset,
    training: Training,
    *,
    seed: int,
    files: SealedFolder,
    fabric: Fabric,
    bar: bool | None = None,
) -> None:
    """Train to the end. If an earlier call with this folder was interrupted, resume after its last epoch.

    The best weights are those of the epoch with the highest rsum on `dev`; of equal epochs, the last. Order, dropout
    and schedule are functions of (seed, epoch). So an interrupted and an uninterrupted training give the same weights
    if they use the same number of threads.

    Args:
        files: the folder that gets `best.pt`, `last.pt` and `history.jsonl` after every epoch.
        bar: whether to show a bar of epochs on stderr; None shows it on a terminal only.

    Raises:
        FloatingPointError: a gradient was not finite.
        DamagedError: there is a state to resume from, and it or a file beside it is not the one that was written.
    """
    name = files.folder.name
    tokens = matcher.tokenizer.encode_all(train.captions)
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # CPUs have no such layer
        nn.SyncBatchNorm.convert_sync_batchnorm(matcher)
    adam = torch.optim.Adam(matcher.parameters(), lr=training.learning_rate, fused=True)
    model, optimizer = fabric.setup(matcher, adam)
    history = _resume(files, matcher, adam)
    shown = bar if fabric.is_global_zero else False
    disable = None if shown is None else not shown  # None asks tqdm to show it on a terminal only
    with tqdm(total=training.epochs, initial=len(history), desc=name, unit="epoch", disable=disable) as counter:
        for epoch in range(len(history), training.epochs):
            if out_of_patience(history, training):
                break
            _seed(seed, epoch, fabric.global_rank)
            visible = hide_rare(tokens, matcher.tokenizer, seed=seed, epoch=epoch)
            losses = _epoch(model, matcher, optimizer, train, visible, training, fabric, seed=seed, epoch=epoch)
            # one process measures for all: on CPUs each has its own BatchNorm statistics, and all must stop together
            recalls = fabric.broadcast(evaluate(matcher, dev) if fabric.is_global_zero else {})
            history.append({"loss": losses, "dev": recalls})
            counter.set_postfix(loss=losses, rsum=round(recalls["rsum"], 1), refresh=False)
            counter.update()
            if fabric.is_global_zero:
                log.info("%s epoch %d loss %s dev rsum %.1f", name, epoch + 1, losses, recalls["rsum"])
                _warn_of_plateau(history, matcher, training, name)
                _save(files, matcher, adam, history)
            fabric.barrier()


def _save(files: SealedFolder, matcher: Matcher, adam: torch.optim.Optimizer, history: list[dict[str, Any]]) -> None:
    """Write the files of an epoch. `last.pt` is the last of them, since a resumed training starts from it."""
    if history[-1]["dev"]["rsum"] >= max(record["dev"]["rsum"] for record in history):
        with files.write(BEST) as draft:
            save_checkpoint(matcher.state_dict(), draft)
    files.write_text(HISTORY, "".join(json.dumps(record) + "\n" for record in history))
    with files.write(LAST) as draft:
        # every record gets its own copies of its strings, so that the bytes of the file do not depend on where the
        # training was resumed
        records = [json.loads(json.dumps(record)) for record in history]
        state = {"model": matcher.state_dict(), "optimizer": adam.state_dict(), "history": records}
        save_checkpoint(state, draft)


def _epoch(
    model: Any,
    matcher: Matcher,
    optimizer: Any,
    train: Dataset,
    tokens: list[np.ndarray],
    training: Training,
    fabric: Fabric,
    *,
    seed: int,
    epoch: int,
) -> dict[str, float]:
    """Train for one epoch and return the mean of each loss."""
    matcher.train()
    progress = Progress(epoch, epoch < training.warmup_epochs, epoch / training.decay_every)
    join = alone if fabric.world_size == 1 else partial(gather, fabric)
    sums: dict[str, Tensor] = {}
    of_epoch = batches(
        train, tokens, training.batch_size, seed=seed, epoch=epoch,
        rank=fabric.global_rank, world=fabric.world_size, device=fabric.device,
    )  # fmt: skip
    before = epoch * (len(tokens) // training.batch_size)
    for step, batch in enumerate(prefetched(of_epoch)):
        for group in optimizer.param_groups:
            group["lr"] = rate(training, epoch, before + step)
        losses = model(batch, progress, join)
        optimizer.zero_grad()
        fabric.backward(matcher.total(losses))
        norm = fabric.clip_gradients(model, optimizer, max_norm=training.clip, error_if_nonfinite=False)
        assert norm is not None  # Fabric returns None only where it clips by value
        if not norm.isfinite():  # the weights are not changed yet
            found = {name: round(loss.item(), 3) for name, loss in losses.items()}
            raise FloatingPointError(f"epoch {epoch + 1}, step {step + 1}: gradient not finite, losses {found}")
        optimizer.step()
        for name, loss in losses.items():
            sums[name] = sums.get(name, torch.zeros_like(loss)) + loss.detach()
    means = {name: cast(Tensor, fabric.all_reduce(value / (step + 1))) for name, value in sums.items()}
    return {name: round(float(mean), 6) for name, mean in means.items()}


def rate(training: Training, epoch: int, step: int) -> float:
    """Return the learning rate of one step. `step` counts from the start of the training, and `epoch` is its epoch.

    >>> training = Training(epochs=2, learning_rate=0.01, rise_steps=4, decay_every=1)
    >>> [rate(training, 0, 0), rate(training, 0, 3), rate(training, 1, 4)]
    [0.0025, 0.01, 0.001]
    """
    risen = min(1.0, (step + 1) / training.rise_steps) if training.rise_steps else 1.0
    return training.learning_rate * risen * 0.1 ** (epoch // training.decay_every)


def out_of_patience(history: list[dict[str, Any]], training: Training) -> bool:
    """Tell whether the last `patience` epochs brought no better rsum on the dev split than the epochs before them."""
    rsums = [record["dev"]["rsum"] for record in history]
    patience = training.patience
    return patience is not None and len(rsums) > patience and max(rsums[-patience:]) <= max(rsums[:-patience])


def _warn_of_plateau(history: list[dict[str, Any]], matcher: Matcher, training: Training, name: str) -> None:
    """Warn if a loss stays where all similarities are equal, which is the well-known failure of hardest negatives.

    The warning needs two such epochs in a row, since a falling loss may pass this value in one epoch.
    """
    last_two = history[training.warmup_epochs :][-2:]
    for loss, module in matcher.terms.items():
        values = [record["loss"][loss] for record in last_two]
        plateau = module.plateau
        if plateau and len(values) == 2 and all(abs(value - plateau) < 0.01 * plateau for value in values):
            log.warning(
                "%s, epoch %d: the %s loss rests at %.3f per pair, where all similarities are about equal and hardest "
                "negatives teach nothing. Try more epochs of summed hinges (warmup_epochs).",
                name,
                len(history),
                loss,
                values[-1],
            )


def _seed(seed: int, epoch: int, rank: int) -> None:
    """Seed dropout from (seed, epoch, rank), so that a resumed training needs no stored generator."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0]))


def _resume(files: SealedFolder, matcher: Matcher, adam: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Load the state of an interrupted training, if there is one, and return its history."""
    if not files.has(LAST):
        return []
    # check every file, so that the training does not replace a damaged file before anybody notices the damage
    files.check(name for name in files.names if files.has(name))
    with files.open(LAST) as file:
        state = load_checkpoint(file)
    matcher.load_state_dict(state["model"])
    adam.load_state_dict(state["optimizer"])
    history: list[dict[str, Any]] = state["history"]
    return history
