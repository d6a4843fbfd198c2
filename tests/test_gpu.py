"""What only a GPU can show (`make test-gpu`): the CPU's numbers, mixed precision, no attended vectors in memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SMALL, random_encoded

from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import train
from vsrpp_lite.training.runs import Run

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")]

SHORT = Training(epochs=3, batch_size=20, learning_rate=0.01)


def test_scores_are_those_of_the_cpu():
    images, texts = random_encoded([3, 5]), random_encoded([4, 2, 6], seed=1)
    for direction in ("t2i", "i2t"):
        there = cross_attention(images.map(lambda x: x.cuda()), texts.map(lambda x: x.cuda()), direction=direction)
        torch.testing.assert_close(there.cpu(), cross_attention(images, texts, direction=direction))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_training_reaches_the_recalls_of_the_cpu(toy, precision, tmp_path, monkeypatch):
    run = Run(system=VSRpp(), data=str(toy), sizes=SMALL, training=replace(SHORT, epochs=12, precision=precision))
    there = run.fit(accelerator="cuda").recalls["rsum"]
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path / "cpu"))
    here = replace(run).fit(accelerator="cpu").recalls["rsum"]
    assert there == pytest.approx(here, abs=40)


def test_an_interrupted_run_resumes_on_the_gpu(toy, monkeypatch):
    """Adam's moments come back to where the weights are."""
    run = Run(system=VSRpp(), data=str(toy), sizes=SMALL, training=SHORT)
    original = train._epoch

    def once(*args, epoch, **kwargs):
        if epoch == 1:
            raise KeyboardInterrupt
        return original(*args, epoch=epoch, **kwargs)

    monkeypatch.setattr(train, "_epoch", once)
    with pytest.raises(KeyboardInterrupt):
        run.fit(accelerator="cuda")
    monkeypatch.setattr(train, "_epoch", original)
    assert len(run.fit(accelerator="cuda").history) == 3


def test_a_batch_of_the_paper_fits_without_attended_vectors():
    """B = 128, R = 36, D = 1,024: 1 GB for one copy of the attended vectors alone; ours stays far below."""
    lengths = np.random.default_rng(0).poisson(11, 128) + 5
    images, texts = (
        random_encoded([36] * 128, size=1024, dtype=torch.float32),
        random_encoded(lengths.tolist(), size=1024, seed=1, dtype=torch.float32),
    )
    leaves = Encoded(*(x.cuda() for x in images)), Encoded(*(x.cuda() for x in texts))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    cross_attention(leaves[0]._replace(fragments=leaves[0].fragments.requires_grad_()), leaves[1]).sum().backward()
    assert torch.cuda.max_memory_allocated() - before < 800e6
