"""Two processes that share a batch give the gradient of one that has it all."""

import subprocess
import sys
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from conftest import SMALL
from lightning_fabric import Fabric

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.dataset import batches
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.fusion import fusion
from vsrpp_lite.global_alignment import Hinge, SentenceGRU, cosine
from vsrpp_lite.info_nce import InfoNCE
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import Matcher, Progress, System, alone
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.encoders import PlainRegions
from vsrpp_lite.systems.saem import Angular
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.distributed import gather
from vsrpp_lite.training.ranking import evaluate
from vsrpp_lite.training.runs import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # torch and Fabric announce deprecations to one another


class Plain(System):
    """Similarities and caption loss without what is each process's own: BatchNorm's statistics and dropout."""

    def __init__(self, similarity, losses):
        object.__setattr__(self, "similarity", similarity)
        object.__setattr__(self, "losses", losses)

    def build(self, tokenizer, feature_size, sizes):
        said = CaptionDecoder(len(tokenizer), sizes.word, sizes.embed, sizes.caption, dropout=0.0)
        similarity = self.similarity() if isinstance(self.similarity, type) else self.similarity
        return Matcher(
            tokenizer,
            PlainRegions(feature_size, sizes.embed),
            SentenceGRU(len(tokenizer), sizes.word, sizes.embed, bidirectional=True),
            similarity,
            {"caption": said} | self.losses(similarity),
        )


class Learned(torch.nn.Module):
    """S_G + mu S_L with a mu that is learned: a similarity with a parameter."""

    def __init__(self):
        super().__init__()
        self.mu = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, images, texts):
        return fusion(images, texts, mu=self.mu)


def best_region(images, texts):
    """The best region's cosine. The gradient of an einsum is not contiguous in memory."""
    cosines = torch.einsum("ird,td->itr", images.fragments, texts.pooled)
    return cosines.masked_fill(~images.mask[:, None], -1.0).amax(2)


def ranking(similarity):
    return {"ranking": Hinge(similarity, 0.2)}


SYSTEMS = {
    "global, caption loss": Plain(cosine, ranking),
    "fusion, caption loss": Plain(partial(fusion, mu=2.0), ranking),
    "i2t": SCAN(direction="i2t", pooling="lse"),
    "two hinges": Plain(cosine, lambda _: {"global": Hinge(cosine, 0.2), "local": Hinge(cross_attention, 0.2)}),
    "angular": Plain(cosine, lambda similarity: ranking(similarity) | {"angular": Angular()}),
    "InfoNCE, its temperature learned": Plain(cosine, lambda similarity: {"ranking": InfoNCE(similarity)}),
    "a product whose gradient lies in another order": Plain(best_region, ranking),
    "a similarity that is learned, InfoNCE": Plain(Learned, lambda similarity: {"ranking": InfoNCE(similarity)}),
}


def repeated(toy):
    """The number of the batch in which the most images stand twice, and how many images it has."""
    train = open_split(toy, "train")
    tokens = Vocabulary.build(train.captions).encode_all(train.captions)
    counts = [len(batch.image_positions.unique()) for batch in batches(train, tokens, 24, seed=1, epoch=0)]
    return int(np.argmin(counts)), min(counts)


def gradient(fabric, system, toy, hardest, folder):
    """The gradient of one batch, written to a file by the first process: NumPy, not tensors, crosses processes."""
    torch.set_num_threads(1)
    train = open_split(toy, "train")
    torch.manual_seed(0)
    matcher = system.build(Vocabulary.build(train.captions), train.feature_size, SMALL)
    tokens = matcher.tokenizer.encode_all(train.captions)
    model = fabric.setup(matcher)
    of_rank = batches(train, tokens, 24, seed=1, epoch=0, rank=fabric.global_rank, world=fabric.world_size)
    batch = next(islice(of_rank, repeated(toy)[0], None))
    join = alone if fabric.world_size == 1 else partial(gather, fabric)
    losses = model(batch, Progress(warming_up=not hardest), join)
    fabric.backward(matcher.total(losses))
    if fabric.is_global_zero:
        np.savez(folder / f"{fabric.world_size}.npz", **{n: p.grad.numpy() for n, p in matcher.named_parameters()})


@pytest.fixture
def doubles():
    """Double precision, or a gradient that nearly cancels would be a matter of rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
@pytest.mark.parametrize("hardest", [True, False])
def test_two_ranks_give_the_gradient_of_one(system, hardest, toy, tmp_path, doubles):
    assert repeated(toy)[1] < 24  # an image stands twice, and on both ranks: masks must cross
    compare(system, hardest, toy, tmp_path, ranks=2)


def test_four_ranks_give_the_gradient_of_one(toy, tmp_path, doubles):
    compare(SYSTEMS["fusion, caption loss"], True, toy, tmp_path, ranks=4)


def compare(system, hardest, toy, folder, ranks):
    for devices, strategy in ((1, "auto"), (ranks, "ddp_fork")):
        fabric = Fabric(accelerator="cpu", devices=devices, strategy=strategy, precision="64-true")
        fabric.launch(gradient, system, toy, hardest, folder)
    one, several = (dict(np.load(folder / f"{world}.npz")) for world in (1, ranks))
    assert one.keys() == several.keys()
    for name in one:
        assert np.abs(one[name]).max() > 0
        assert one[name].dtype == np.float64
        np.testing.assert_allclose(several[name], one[name], atol=1e-10, rtol=1e-8, err_msg=name)


def test_processes_with_statistics_of_their_own_stop_in_the_same_epoch(toy):
    """On CPUs, each process has its own statistics of BatchNorm, and so would have its own recalls on dev."""
    training = Training(epochs=12, patience=1, batch_size=20, learning_rate=0.03)
    result = Run(system=VSRN(), data=str(toy), sizes=SMALL, training=training).fit(
        devices=2, accelerator="cpu", strategy="ddp_fork"
    )
    rsums = result.history["dev.rsum"].tolist()
    assert 2 <= len(rsums) < 12 and rsums[-1] <= max(rsums[:-1])


def test_a_strategy_that_starts_the_script_again_is_refused(toy):
    """The new process would wait for the lock of the run, and this one for the new process."""
    run = Run(system=VSRN(), data=str(toy), sizes=SMALL)
    for strategy in ("ddp", "auto"):  # for several devices, Fabric's "auto" is "ddp"
        with pytest.raises(ValueError, match=f"strategy is '{strategy}'; expected ddp_spawn or ddp_fork"):
            run.fit(devices=2, accelerator="cpu", strategy=strategy)


@pytest.mark.parametrize("batch_size", [21, 2])
def test_processes_that_cannot_share_a_batch_are_refused_before_they_start(toy, batch_size):
    """An error of a process would reach the caller as another error. Two pairs for each: BatchNorm needs them."""
    run = Run(system=VSRN(), data=str(toy), sizes=SMALL, training=Training(epochs=1, batch_size=batch_size))
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; expected a multiple of 2, the number of dev"):
        run.fit(devices=2, accelerator="cpu", strategy="ddp_fork")
    assert not run.folder.exists()


def test_a_script_without_a_guard_is_told_so_and_does_not_wait_for_itself(toy, tmp_path):
    """The new process imports the script, and would wait for the lock that its parent holds."""
    script = tmp_path / "script.py"
    run = f"Run(system=VSEpp(), data={str(toy)!r}, preset='smoke')"
    lines = ["from vsrpp_lite.systems.vsepp import VSEpp", "from vsrpp_lite.training.runs import Run"]
    script.write_text("\n".join([*lines, f"{run}.fit(devices=2, accelerator='cpu')"]))
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert ended.returncode
    assert 'call it under `if __name__ == "__main__":`' in ended.stderr


def test_fewer_than_one_process_is_refused(toy):
    """Fabric would read -1 as all the devices of the machine."""
    with pytest.raises(ValueError, match="devices is -1; expected at least 1"):
        Run(system=VSRN(), data=str(toy), sizes=SMALL).fit(devices=-1)


def test_a_job_of_slurm_with_several_tasks_trains_as_any_other_process(toy, monkeypatch):
    """Fabric would take the tasks of the job for the processes of a training, and refuse them."""
    for variable, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "tables", "SLURM_PROCID": "1"}.items():
        monkeypatch.setenv(variable, value)
    training = Training(epochs=1, batch_size=20, learning_rate=0.01)
    assert Run(system=VSRN(), data=str(toy), sizes=SMALL, training=training).fit().recalls["rsum"] > 0


def test_a_run_on_two_processes_ends_with_a_result(toy):
    training = Training(epochs=1, batch_size=20, learning_rate=0.01)
    run = Run(system=VSRpp(), data=str(toy), sizes=SMALL, training=training)
    result = run.fit(devices=2, accelerator="cpu", strategy="ddp_fork")
    assert evaluate(result.matcher(), run.dataset("test")) == result.recalls
    assert len(result.history) == 1
    start, end = run.build().state_dict(), result.matcher().state_dict()
    assert not [name for name in start if name.endswith("weight") and torch.equal(start[name], end[name])]
