"""What VSR++'s graph is worth after a long training: `OMP_NUM_THREADS=1 python tests/graph.py`, some minutes.

It trains VSR++ by its tuned recipe of preset `long` on `scenes`, with three seeds each: with the layers of region
reasoning, without them, and with layers that send no messages. Everything else is the same. It also silences the
messages of the models that were trained with them. It writes rsum and the accuracy on three kinds of minimal pairs into
notebooks/recorded/graph.csv.
"""

from dataclasses import dataclass, replace

import pandas as pd
from torch import nn

from vsrpp_lite.data.scenes.probes import probes
from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.gcn_reasoning import RegionGraph
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.paper.beyond_recall import without_messages
from vsrpp_lite.paper.true_answers import preferred
from vsrpp_lite.paper.tuned import tuned
from vsrpp_lite.settings import Sizes
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.ranking import evaluate
from vsrpp_lite.training.runs import Result


@dataclass(frozen=True, kw_only=True)
class WithoutMessages(VSRpp):
    """VSR++ whose layers send no messages: each learns a vector, and adds it to every region of every picture."""

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        matcher = super().build(tokenizer, feature_size, sizes)
        for module in matcher.modules():
            if isinstance(module, RegionGraph):
                # all messages are equal then, so BN turns them into zero and adds its bias
                nn.init.zeros_(module.update.weight).requires_grad_(False)
        return matcher


SEEDS = range(3)
RELATIONS = ("left and right", "things exchanged", "on and under")


def main() -> None:
    """Train what is not trained yet, and write the CSV."""
    runs = {}
    for seed in SEEDS:
        run = tuned(VSRpp(), data="scenes", preset="long", seed=seed)
        runs["with graph layers", seed] = run
        runs["trained without messages", seed] = replace(run, system=WithoutMessages(**vars(run.system)))
        runs["without graph layers", seed] = replace(run, sizes=replace(run.settings.sizes, layers=0))
    list(grid.train(runs.values()))
    matchers = {key: Result(run).matcher() for key, run in runs.items()}
    for seed in SEEDS:
        matchers["messages silenced", seed] = without_messages(matchers["with graph layers", seed])
    test = runs["with graph layers", 0].dataset("test")
    pairs = probes(test)
    lines = []
    for (row, seed), matcher in matchers.items():
        right = preferred(matcher, test, pairs)
        measures = {"rsum": evaluate(matcher, test)["rsum"]} | {
            kind: 100 * right[[pair.kind == kind for pair in pairs]].mean() for kind in RELATIONS
        }
        lines += [(row, seed, measure, round(value, 2)) for measure, value in measures.items()]
    found = pd.DataFrame(lines, columns=["row", "seed", "measure", "value"])
    found.to_csv(recorded_folder() / "graph.csv", index=False)


if __name__ == "__main__":
    main()
