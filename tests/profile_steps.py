"""`make profile`: where a training step of each system goes, in preset lite, on one thread, for RESULTS.md.

Every system trains on the same batches of `scenes`. Each figure is the median over them, and the systems take turns, so
that a machine that slows down slows all of them. Leaves notebooks/recorded/steps.csv.
"""

import gc
import time
from collections import defaultdict
from collections.abc import Callable

import pandas as pd
import torch

from vsrpp_lite.data.dataset import Batch, batches
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.matcher import Matcher, Progress
from vsrpp_lite.paper.four_tables import SYSTEMS
from vsrpp_lite.paper.tuned import tuned

STEPS = 40


class Watch:
    """Milliseconds of each part of a step, by name."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)

    def timed(self, name: str, function: Callable) -> Callable:
        def call(*arguments, **options):
            began = time.perf_counter()
            found = function(*arguments, **options)
            self.taken[name].append(1e3 * (time.perf_counter() - began))
            return found

        return call


def prepare(matcher: Matcher, watch: Watch) -> Callable[[Batch], None]:
    """Return one training step, which notes the time of its parts."""
    matcher.images.forward = watch.timed("image encoder", matcher.images.forward)
    matcher.texts.forward = watch.timed("text encoder", matcher.texts.forward)
    for name, loss in matcher.terms.items():
        loss.forward = watch.timed(f"{name} loss", loss.forward)
    optimizer = torch.optim.Adam(matcher.parameters(), fused=True)

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(matcher.parameters(), 2.0)
        optimizer.step()

    def step(batch: Batch) -> None:
        losses = matcher(batch, Progress(epoch=1))
        optimizer.zero_grad()
        watch.timed("backward", matcher.total(losses).backward)()
        watch.timed("clip and Adam", update)()

    return watch.timed("whole", step)


def main() -> None:
    """Profile all seven, and write the table."""
    torch.set_num_threads(1)
    steps, watches = {}, {row: Watch() for row in SYSTEMS}
    for row, system in SYSTEMS.items():
        run = tuned(system)
        matcher, train = run.build(), run.dataset("train")
        tokens = matcher.tokenizer.encode_all(train.captions)
        steps[row] = prepare(matcher, watches[row])
    given = batches(train, tokens, run.settings.training.batch_size, seed=0, epoch=0)
    for number, batch in zip(range(STEPS + 2), given):
        for row, step in steps.items():
            gc.collect()
            step(batch)
            if number < 2:  # the first two warm up
                watches[row].taken.clear()
    table = pd.DataFrame(
        {
            row: {name: pd.Series(taken).median() for name, taken in watch.taken.items()}
            for row, watch in watches.items()
        }
    ).T
    last = ["backward", "clip and Adam", "whole"]
    table = table[[*(name for name in table if name not in last), *last]].round(1)
    table.to_csv(recorded_folder() / "steps.csv", index_label="milliseconds of a step")
    print(table.to_string())


if __name__ == "__main__":
    main()
