"""Training: it learns, it repeats itself bitwise, and being killed changes nothing."""

import logging
import shutil
from dataclasses import replace

import pytest
import torch
from conftest import SMALL
from lightning_fabric import Fabric

from vsrpp_lite.data.dataset import batches
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.text import Vocabulary, hide_rare
from vsrpp_lite.global_alignment import Hinge
from vsrpp_lite.matcher import START
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import train as machine
from vsrpp_lite.training.ranking import evaluate
from vsrpp_lite.training.run_folder import run_folder
from vsrpp_lite.training.runs import Run
from vsrpp_lite.training.train import fit

pytestmark = pytest.mark.slow

SHORT = Training(epochs=4, batch_size=20, learning_rate=0.01, decay_every=3)
FABRIC = Fabric(accelerator="cpu")


def trained(toy, folder, training=SHORT, system=None, seed=0):
    folder.mkdir(exist_ok=True)
    run = Run(system=system or VSRpp(), data=str(toy), sizes=SMALL, training=training, seed=seed)
    matcher = run.build()
    fit(matcher, run.dataset("train"), run.dataset("dev"), training, seed=seed, files=run_folder(folder), fabric=FABRIC)
    return matcher.state_dict()


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_two_trainings_are_bitwise_equal_and_another_seed_is_not(toy, tmp_path):
    first = trained(toy, tmp_path / "a")
    assert equal(first, trained(toy, tmp_path / "b"))
    assert not equal(first, trained(toy, tmp_path / "c", seed=1))


def test_interrupted_equals_uninterrupted(toy, tmp_path, monkeypatch):
    undisturbed = trained(toy, tmp_path / "a")

    calls = 0
    original = machine._epoch

    def killed_in_the_third_epoch(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == 3:
            original(*args, **kwargs)  # weights move, and then nothing is saved
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(machine, "_epoch", killed_in_the_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        trained(toy, tmp_path / "b")
    assert len((tmp_path / "b" / "history.jsonl").read_text().splitlines()) == 2
    torch.randn(7)  # whatever happened to the generator in between
    monkeypatch.undo()
    assert equal(undisturbed, trained(toy, tmp_path / "b"))
    for name in ("history.jsonl", "best.pt"):
        a, b = ((tmp_path / folder / name) for folder in "ab")
        if name.endswith("pt"):
            assert equal(torch.load(a, weights_only=True), torch.load(b, weights_only=True))
        else:
            assert a.read_text() == b.read_text()


def test_the_learning_rate_falls_and_the_warm_up_ends_when_told(toy, tmp_path, monkeypatch):
    seen = []

    original = VSRN.build

    def watched(*args):
        matcher = original(*args)
        matcher.losses["ranking"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].progress))
        return matcher

    rates = []
    monkeypatch.setattr(VSRN, "build", watched)
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self, *a, **k: rates.append(self.param_groups[0]["lr"]) or step(self, *a, **k)
    )
    training = replace(SHORT, epochs=7, batch_size=60, decay_every=3, warmup_epochs=2)
    trained(toy, tmp_path / "a", training, system=VSRN())
    assert rates == [pytest.approx(rate) for rate in [0.01] * 9 + [0.001] * 9 + [0.0001] * 3]  # three steps an epoch
    assert [progress.warming_up for progress in seen] == [True] * 6 + [False] * 15
    assert [progress.decays for progress in seen[::3]] == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])


def test_the_learning_rate_rises_from_zero_in_equal_parts_over_several_epochs(toy, tmp_path, monkeypatch):
    """180 captions in batches of 60 are three steps an epoch. Four steps to rise: a quarter, a half, three quarters."""
    rates, step = [], torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self, *a, **k: rates.append(self.param_groups[0]["lr"]) or step(self, *a, **k)
    )
    trained(toy, tmp_path / "a", replace(SHORT, epochs=2, batch_size=60, rise_steps=4), system=VSEpp())
    assert rates == [pytest.approx(0.01 * part) for part in (0.25, 0.5, 0.75, 1, 1, 1)]


@pytest.mark.parametrize(
    ("rsums", "patience", "stops"),
    [
        ([5, 4], 1, True),
        ([5, 5], 1, True),
        ([5, 6], 1, False),
        ([5, 4, 6], 2, False),
        ([5, 4, 4], 2, True),
        ([5], 1, False),
        ([5, 4, 4], None, False),
    ],
)
def test_patience_ends_when_as_many_epochs_brought_nothing_better(rsums, patience, stops):
    history = [{"dev": {"rsum": rsum}} for rsum in rsums]
    assert machine.out_of_patience(history, replace(SHORT, patience=patience)) == stops


def test_a_run_without_patience_left_is_done_and_is_not_trained_further(toy, monkeypatch):
    """Dev is best in the second epoch: with a patience of two, epochs three and four are the last of nine."""
    rsums = iter([1.0, 3.0, 2.0, 3.0])
    monkeypatch.setattr(machine, "evaluate", lambda *_: {"rsum": next(rsums)})
    training = replace(SHORT, epochs=9, batch_size=60, patience=2)
    run = Run(system=VSEpp(), data=str(toy), sizes=SMALL, training=training)
    assert run.fit(accelerator="cpu").history["dev.rsum"].tolist() == [1, 3, 2, 3]
    assert run.done


def test_a_blind_training_opens_no_test_split(toy, tmp_path):
    folder = shutil.copytree(toy, tmp_path / "blind")
    for path in folder.glob("test*"):
        path.unlink()
    run = Run(system=VSEpp(), data=str(folder), sizes=SMALL, training=replace(SHORT, epochs=1, batch_size=60))
    with pytest.raises(DataError, match="test"):
        run.fit(accelerator="cpu")
    assert len(run.fit(accelerator="cpu", blind=True).history) == 1


def test_the_plateau_is_named_when_training_rests_there(toy, caplog):
    matcher = Run(system=SCAN(), data=str(toy), sizes=SMALL).build()

    def named(*losses):
        caplog.clear()
        history = [{"loss": {"ranking": loss}} for loss in losses]
        with caplog.at_level(logging.WARNING):
            machine._warn_of_plateau(history, matcher, SHORT, "my run")
        return caplog.text

    assert "my run, epoch 3: the ranking loss rests at 0.400 per pair, where all similarities are about equal" in named(
        9.0, 0.401, 0.4
    )
    assert not named(9.0, 0.43, 0.4)  # on its way down
    assert not named(0.4, 0.4)  # the first epoch sums over negatives: its loss means something else
    assert not named(9.0, 0.3, 0.3)


def test_mixed_precision_by_one_argument(toy, tmp_path):
    training = replace(SHORT, epochs=6, precision="bf16-mixed")
    run = Run(system=VSRpp(), data=str(toy), sizes=SMALL, training=training)
    history = run.fit(accelerator="cpu").history
    assert history["loss.caption"].iloc[-1] < 0.85 * history["loss.caption"].iloc[0]
    assert history["loss.ranking"].notna().all()
    state = torch.load(run.folder / "best.pt", weights_only=True)
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}


def test_hinges_are_taken_in_float32_whatever_the_encoders_compute_in(toy):
    """In bfloat16 a hundred cosines have a few dozen values, and hardest negatives tie."""
    fabric = Fabric(accelerator="cpu", precision="bf16-mixed")
    run = Run(system=SCAN(), data=str(toy), sizes=SMALL)
    matcher, train, seen = run.build(), run.dataset("train"), []

    def watched(images, texts):
        seen.append(images.pooled @ texts.pooled.T)
        return seen[-1]

    matcher.losses = torch.nn.ModuleDict({"ranking": Hinge(watched, 0.2)})
    model = fabric.setup(matcher)
    batch = next(batches(train, matcher.tokenizer.encode_all(train.captions), 60, seed=0, epoch=0))
    model(batch)
    assert seen[0].dtype == torch.float32
    texts = len({tuple(row) for row in batch.tokens.tolist()})
    assert len(seen[0].unique()) > 0.9 * texts * len(batch.image_positions.unique())


def test_the_balance_of_losses_is_the_released_one_at_any_batch_size():
    per_caption = {"ranking": torch.tensor(0.3), "caption": torch.tensor(20.0)}
    matcher = VSRpp().build(Vocabulary.build(["a dog"]), 4, SMALL)
    assert matcher.total(per_caption).item() == pytest.approx(128 * 0.3 + 20.0)


def test_a_loss_that_is_not_a_number_stops_training_before_the_weights(toy, tmp_path):
    run = Run(system=SCAN(), data=str(toy), sizes=SMALL, training=SHORT)
    matcher = run.build()
    with torch.no_grad():
        matcher.images.project.weight[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"epoch 1, step 1: gradient not finite, losses \{'ranking': nan\}"):
        fit(matcher, run.dataset("train"), run.dataset("dev"), SHORT, seed=0, files=run_folder(tmp_path), fabric=FABRIC)


@pytest.fixture
def steps(monkeypatch):
    """What Adam is given at each of its steps: the gradient of every parameter, copied."""
    seen = []
    step = torch.optim.Adam.step

    def watched(self, *args, **kwargs):
        seen.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    return seen


def test_the_best_weights_are_those_of_the_best_epoch_on_dev_the_later_of_two_equal_ones(toy, tmp_path, monkeypatch):
    """Six epochs whose rsum on dev is told beforehand: 100, 300, 200, 300, 250, 50. The fourth is the best."""
    told, states, asked = iter([100.0, 300.0, 200.0, 300.0, 250.0, 50.0]), [], []

    def scripted(matcher, dataset):
        states.append({name: x.clone() for name, x in matcher.state_dict().items()})
        asked.append(dataset.split)
        return {"rsum": next(told)}

    monkeypatch.setattr(machine, "evaluate", scripted)
    trained(toy, tmp_path / "a", replace(SHORT, epochs=6, batch_size=60), system=VSEpp())
    assert asked == ["dev"] * 6
    best, last = (torch.load(tmp_path / "a" / name, weights_only=True) for name in ("best.pt", "last.pt"))
    assert [equal(best, state) for state in states] == [False, False, False, True, False, False]
    assert equal(last["model"], states[5])


def test_a_run_looks_at_dev_while_it_trains_and_never_at_test(toy, monkeypatch):
    """Dev is twelve images, test is twenty: the recalls of the last epoch are those of its weights on the twelve."""
    looked, original = [], machine.evaluate
    monkeypatch.setattr(machine, "evaluate", lambda *args: looked.append(args[1].split) or original(*args))
    run = Run(system=VSEpp(), data=str(toy), sizes=SMALL, training=replace(SHORT, epochs=2, batch_size=60))
    history = run.fit(accelerator="cpu").history
    assert looked == ["dev", "dev"]
    matcher = run.build()
    matcher.load_state_dict(torch.load(run.folder / "last.pt", weights_only=True)["model"])
    on_dev = evaluate(matcher, run.dataset("dev"))
    assert history["dev.rsum"].iloc[-1] == pytest.approx(on_dev["rsum"])
    images_found = on_dev["i2t_r5"] * 12 / 100
    assert images_found == pytest.approx(round(images_found))


def test_the_whole_gradient_is_scaled_down_to_the_clip(toy, tmp_path, steps):
    """Root of the sum of all squares, over all parameters together; a gradient that is shorter is left as it is."""
    training = replace(SHORT, epochs=1, batch_size=60)

    def lengths(clip, folder):
        steps.clear()
        trained(toy, tmp_path / folder, replace(training, clip=clip), system=VSEpp())
        return [sum(float((g * g).sum()) for g in step) ** 0.5 for step in steps]

    free = lengths(1e9, "free")
    assert len(free) == 3
    assert min(free) > 0.5
    assert lengths(0.5, "clipped") == pytest.approx([0.5] * 3, rel=1e-4)
    assert lengths(1.01 * max(free), "long enough")[0] == pytest.approx(free[0])


def test_a_step_follows_the_gradient_of_the_weighted_sum_of_losses_and_of_one_batch_alone(toy, tmp_path, steps):
    """128 times the hinge plus once the caption loss, taken here by hand; nothing is left of the batch before."""
    run = Run(system=VSRN(), data=str(toy), sizes=SMALL, training=replace(SHORT, epochs=1, batch_size=90, clip=1e9))
    matcher, train = run.build(), run.dataset("train")
    fit(matcher, train, run.dataset("dev"), run.training, seed=0, files=run_folder(tmp_path), fabric=FABRIC)

    by_hand, tokens = run.build().train(), matcher.tokenizer.encode_all(train.captions)
    adam = torch.optim.Adam(by_hand.parameters(), lr=0.01, fused=True)
    machine._seed(0, 0, 0)
    shown = hide_rare(tokens, matcher.tokenizer, seed=0, epoch=0)
    taken = []
    for batch in batches(train, shown, 90, seed=0, epoch=0):
        losses = by_hand(batch, START._replace(warming_up=True))
        parameters = list(by_hand.parameters())
        gradient = torch.autograd.grad(128 * losses["ranking"] + losses["caption"], parameters)
        for parameter, g in zip(parameters, gradient, strict=True):
            parameter.grad = g
        adam.step()
        taken.append(steps.pop())  # seen a second time
    assert len(steps) == len(taken) == 2
    for found, expected in zip(steps, taken, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
