"""`make bench PAPER=1`: one training step of each system as large as in its paper, beside the least that it can take.

It leaves notebooks/recorded/paper_steps.csv, which RESULTS.md shows. Each system runs in a process of its own, so that
the peak of the memory is its own. A batch has 128 pairs of 36 regions with 2,048 numbers, and captions of Flickr30K's
lengths, 15.5 words with `<start>` and `<end>` on average.

    seconds        of a step on this machine: forward, backward, clipping, Adam
    floor          the FLOPs of the step, which PyTorch counts, over the rate of one large product on this machine
    memory         the largest resident set of the process, features of one batch aside
    GPU columns    computed, not measured: FLOPs over 989 TFLOP/s (the peak of an H100 in bfloat16, without sparsity);
                   16 bytes a parameter (weight, gradient, two moments of Adam) and what autograd saves for backward
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from vsrpp_lite.data.dataset import Batch, pad
from vsrpp_lite.data.text import SPECIALS, Vocabulary
from vsrpp_lite.files import recorded_folder, write_text
from vsrpp_lite.matcher import Matcher, Progress
from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.training.provenance import provenance

PAIRS, REGIONS, SIZE, WORDS = 128, 36, 2048, 8481
H100 = 989e12  # FLOP per second
HARDEST = Progress(5, False, 0.0)


def batch() -> Batch:
    """A batch with the sizes of the paper, and random content."""
    generator = np.random.default_rng(0)
    lengths = generator.poisson(8.5, PAIRS) + 7
    tokens, mask = pad([generator.integers(4, WORDS, length) for length in lengths])
    regions = torch.randn(PAIRS, REGIONS, SIZE, generator=torch.Generator().manual_seed(0)).relu()
    numbers = torch.arange(PAIRS)
    return Batch(regions, torch.ones(PAIRS, REGIONS, dtype=torch.bool), tokens, mask, numbers, numbers)


def build(name: str) -> Matcher:
    system = TABLE4.rows[name]
    vocabulary = Vocabulary((*SPECIALS, *(f"word{k}" for k in range(WORDS - len(SPECIALS)))))
    torch.manual_seed(0)
    return system.build(vocabulary, SIZE, system.published_sizes).train()


def gemm_rate() -> float:
    """FLOP per second of a product of two 2,048 x 2,048 matrices."""
    one = torch.randn(2048, 2048)
    best = min(_seconds(lambda: one @ one) for _ in range(10))
    return 2 * 2048**3 / best


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def counted(matcher: Matcher, pairs: Batch) -> tuple[float, float]:
    """FLOPs of a step, and the bytes that autograd saves for backward."""
    saved = {}

    def keep(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    parameters = {parameter.untyped_storage().data_ptr() for parameter in matcher.parameters()}
    # without oneDNN, a GRU is made of products that are counted
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = matcher.total(matcher(pairs, HARDEST))
        loss.backward()
    return counter.get_total_flops(), sum(size for where, size in saved.items() if where not in parameters)


def measure(name: str) -> dict[str, float | str]:
    """Everything about one system."""
    pairs, matcher = batch(), build(name)
    adam = torch.optim.Adam(matcher.parameters(), fused=True)

    def step() -> None:
        adam.zero_grad()
        matcher.total(matcher(pairs, HARDEST)).backward()
        torch.nn.utils.clip_grad_norm_(matcher.parameters(), 2.0)
        adam.step()

    seconds = min(_seconds(step) for _ in range(3))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    flops, saved = counted(matcher, pairs)
    parameters = sum(parameter.numel() for parameter in matcher.parameters())
    floor = flops / gemm_rate()
    return {
        "system": name,
        "parameters, million": round(parameters / 1e6, 1),
        "GFLOP": round(flops / 1e9),
        "seconds": round(seconds, 2),
        "floor, seconds": round(floor, 2),
        "times the floor": round(seconds / floor, 1),
        "memory, GiB": round(memory, 1),
        "H100, ms (computed)": round(1e3 * flops / H100, 2),
        "H100, GiB (computed)": round((16 * parameters + saved) / 2**30, 1),
    }


def main() -> None:
    """Measure every system in a process of its own, and write the CSV and how it came about."""
    rows = []
    for name in TABLE4.rows:
        done = subprocess.run([sys.executable, __file__, name], check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
        print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(recorded_folder() / "paper_steps.csv", index=False)
    facts = provenance() | {"threads": torch.get_num_threads()}
    write_text(recorded_folder() / "paper_steps.json", json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
