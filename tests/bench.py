"""`make bench`: where the time goes, measured side by side in one run. Leaves results/bench.csv.

Every figure is the median of several repetitions, and every comparison alternates between its two sides, so that a
machine that slows down slows both. Memory is the largest tensor made, not the process: it is what the algebra saves.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import leaky_relu, linear, normalize
from torch.utils._python_dispatch import TorchDispatchMode

from vsrpp_lite.data.dataset import batches
from vsrpp_lite.files import home, recorded_folder
from vsrpp_lite.fusion import fusion
from vsrpp_lite.gcn_reasoning import RegionGraph
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import Encoded, Progress
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.metrics import score
from vsrpp_lite.training.provenance import provenance
from vsrpp_lite.training.runs import Run

RECORDS: list[dict] = []
SHARED = "fit(devices={}) on gloo, VSR++ of lite, with start-up and one evaluation"
TREND = {
    "VSR++ step, ms": "VSR++ step, lite, B=64: whole",
    "scoring 1,000 x 5,000, s": "scoring 1,000 x 5,000, R=8, D=128",
    "attention / its product": "attention B=128 R=36 D=1024, forward / product",
    "loop / attention": "attention B=128 R=36 D=1024, loop / ours, forward + backward",
    "captions / s, 1 process": SHARED.format(1),
    "captions / s, 2": SHARED.format(2),
    "captions / s, 4": SHARED.format(4),
    "merged / graph": "graph layer, 128 images of 36 regions, D=2048, maps multiplied first / ours",
    "merged / graph, lite": "graph layer, 64 images of 8 regions, D=128, maps multiplied first / ours",
    "merged / graph, one image": "graph layer, 1 images of 36 regions, D=2048, maps multiplied first / ours",
}
"""What `keep_trend` keeps, by the name of its column."""


def record(what: str, value: float, unit: str, note: str = "") -> None:
    RECORDS.append({"what": what, "value": round(value, 2), "unit": unit, "note": note})
    print(f"{what:58s}{value:12.2f} {unit:4s} {note}", flush=True)


def medians(*functions: Callable, repeats: int = 5) -> list[float]:
    """Milliseconds of each, taken in turn."""
    times = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for function, taken in zip(functions, times, strict=True):
            gc.collect()
            began = time.perf_counter()
            function()
            if repeat:  # the first warms up
                taken.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(taken) for taken in times]


def encoded(count: int, lengths: np.ndarray, size: int, seed: int) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(int(lengths.max())) < torch.from_numpy(lengths)[:, None]
    fragments = normalize(torch.randn(count, mask.shape[1], size, generator=generator), dim=2) * mask[:, :, None]
    return Encoded(normalize(fragments.sum(1), dim=1), fragments, mask)


def plain_loop(images: Encoded, texts: Encoded) -> torch.Tensor:
    """t2i attention, mean pooling, a caption at a time with its attended vectors, as one would first write it."""
    columns = []
    for words, mask in zip(texts.fragments, texts.mask, strict=True):
        words = words[mask]
        clipped = leaky_relu(images.fragments @ words.T, 0.1)
        normed = clipped / (clipped.norm(dim=2, keepdim=True) + 1e-8)
        attended = (9 * normed).softmax(1).transpose(1, 2) @ images.fragments
        columns.append(torch.cosine_similarity(words.expand_as(attended), attended, dim=2).mean(1))
    return torch.stack(columns, 1)


class Largest(TorchDispatchMode):
    """Notes the largest tensor made."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


def bench_attention(size: int) -> None:
    lengths = np.random.default_rng(0).poisson(11, 128) + 5
    images, texts = encoded(128, np.full(128, 36), size, 0), encoded(128, lengths, size, 1)
    leaves = [images.fragments.requires_grad_(), texts.fragments.requires_grad_()]
    words = texts.fragments.detach()[texts.mask]
    torch.testing.assert_close(cross_attention(images, texts), plain_loop(images, texts), atol=1e-5, rtol=1e-4)

    def both(function: Callable) -> Callable:
        return lambda: torch.autograd.grad(function(images, texts).sum(), leaves)

    def forward(function: Callable) -> Callable:
        @torch.no_grad()
        def call() -> None:
            function(images, texts)

        return call

    def gemm() -> None:
        with torch.no_grad():
            images.fragments.flatten(0, 1) @ words.T

    name = f"attention B=128 R=36 D={size}"
    ours, product, loop = medians(forward(cross_attention), gemm, forward(plain_loop), repeats=3)
    record(f"{name}, forward", ours, "ms")
    record(f"{name}, the affinity product alone", product, "ms")
    record(f"{name}, forward / product", ours / product, "x", "aim: 1.6 at D=1024")
    record(f"{name}, loop / ours, forward", loop / ours, "x")
    ours, loop = medians(both(cross_attention), both(plain_loop), repeats=2)
    record(f"{name}, forward + backward", ours, "ms")
    record(f"{name}, loop / ours, forward + backward", loop / ours, "x", "aim: at least 5 at D=1024")
    with Largest() as watch:
        both(cross_attention)()
    attended = 128 * int(lengths.sum()) * size
    record(f"{name}, largest tensor", watch.numel / 1e6, "M", f"attended vectors would be {attended / 1e6:.0f} M")


def bench_graph(images: int, regions: int, size: int) -> None:
    """A layer of the graph beside the same layer with each pair of its linear maps multiplied into one.

    Between theta and phi, and between message and update, stands nothing but A. So V M V^T with M = W_theta W_phi^T is
    the same affinity, for fewer operations wherever the batch has more than D regions.
    """
    layer = RegionGraph(size)
    nn.init.ones_(layer.norm.weight)
    mask = torch.ones(images, regions, dtype=torch.bool)
    leaves = [torch.randn(images, regions, size).requires_grad_(), *layer.parameters()]

    def merged() -> torch.Tensor:
        v, theta, phi, message, update = leaves[0], layer.theta, layer.phi, layer.message, layer.update
        queries = linear(v, phi.weight.T @ theta.weight, phi.weight.T @ theta.bias)
        with_bias = linear(v, (phi.bias @ theta.weight)[None], (phi.bias @ theta.bias)[None])
        affinity = (queries @ v.transpose(1, 2) + with_bias) / regions
        messages = linear(affinity @ v, update.weight @ message.weight, update.bias)
        messages = messages + affinity.sum(2, keepdim=True) * (update.weight @ message.bias)
        return v + layer.norm(messages.flatten(0, 1)).view_as(v)

    def both(function: Callable) -> Callable:
        return lambda: torch.autograd.grad(function().square().sum(), leaves)

    def lesson() -> torch.Tensor:
        return layer(leaves[0], mask)

    torch.testing.assert_close(merged(), lesson(), atol=1e-3, rtol=1e-3)
    ours, other = medians(both(lesson), both(merged), repeats=2)
    name = f"graph layer, {images} images of {regions} regions, D={size}"
    record(f"{name}, forward + backward", ours, "ms")
    record(f"{name}, maps multiplied first / ours", other / ours, "x", "below 1 would be faster")


def bench_step() -> None:
    run = Run(system=VSRpp())
    matcher, train = run.build(), run.dataset("train")
    tokens = matcher.tokenizer.encode_all(train.captions)
    batch = next(batches(train, tokens, run.settings.training.batch_size, seed=0, epoch=0))
    images, texts = (
        Encoded(e.pooled.detach(), e.fragments.detach().requires_grad_(), e.mask) for e in matcher.encode_batch(batch)
    )
    spoken = images.fragments, images.mask, batch.tokens, batch.token_mask
    regions = matcher.images.project(batch.regions).detach().requires_grad_()
    optimizer = torch.optim.Adam(matcher.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        matcher.total(matcher(batch, Progress(epoch=1))).backward()
        optimizer.step()

    parts = {
        "whole": step,
        "region graph": lambda: matcher.images.reason(regions, batch.region_mask).sum().backward(),
        "region GRU": lambda: matcher.images.read(regions, batch.region_mask).sum().backward(),
        "sentence Bi-GRU": lambda: matcher.texts(batch.tokens, batch.token_mask).fragments.sum().backward(),
        "caption decoder": lambda: matcher.losses["caption"].loss(*spoken).backward(),
        "similarity": lambda: matcher.similarity(images, texts).sum().backward(),
        "Adam": optimizer.step,
    }
    for name, milliseconds in zip(parts, medians(*parts.values(), repeats=10), strict=True):
        record(f"VSR++ step, lite, B={run.settings.training.batch_size}: {name}", milliseconds, "ms")


def bench_scoring() -> None:
    lengths = np.random.default_rng(0).poisson(9, 5000) + 5
    images, texts = encoded(1000, np.full(1000, 8), 128, 0), encoded(5000, lengths, 128, 1)
    (milliseconds,) = medians(lambda: score(lambda i, t: fusion(i, t, mu=2.0), images, texts), repeats=2)
    record("scoring 1,000 x 5,000, R=8, D=128", milliseconds / 1e3, "s")


def bench_ranks() -> None:
    """Captions that `fit` trains on per second, with processes that share each batch. Two cores carry two at most."""
    training = replace(Run(system=VSRpp()).settings.training, epochs=1)
    for devices in (1, 2, 4):
        run = Run(system=VSRpp(), training=training, seed=100 + devices)
        result = run.fit(devices=devices, accelerator="cpu", fresh=True)
        count = len(run.dataset("train").captions)
        record(SHARED.format(devices), count / result.record["seconds"], "captions / s")


def main() -> None:
    """Run them all."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    bench_attention(1024)
    bench_attention(256)
    bench_graph(images=128, regions=36, size=2048)
    bench_graph(images=64, regions=8, size=128)
    bench_graph(images=1, regions=36, size=2048)
    bench_step()
    bench_scoring()
    bench_ranks()
    path = home() / "results" / "bench.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = provenance()
    pd.DataFrame(RECORDS).assign(commit=made["commit"]).to_csv(path, index=False)
    keep_trend(made)


def keep_trend(made: dict) -> None:
    """Write the measures that must not become slower as one line of notebooks/recorded/bench.csv.

    The line replaces the line of the same version, if there is one. Two machines differ by more than two releases do:
    compare the ratios, or lines of one machine.
    """
    found = {record["what"]: record["value"] for record in RECORDS}
    line = {"version": made["versions"]["vsrpp_lite"], "torch": made["versions"]["torch"], "commit": made["commit"][:7]}
    line |= {name: found[what] for name, what in TREND.items()}
    path = recorded_folder() / "bench.csv"
    before = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=[*line])
    kept = before[before["version"] != line["version"]]
    pd.concat([kept, pd.DataFrame([line])]).to_csv(path, index=False)


if __name__ == "__main__":
    main()
