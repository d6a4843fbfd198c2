"""Every system keeps the contract: encoders, losses, gradients, and nothing that padding or order could change."""

import re
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import pytest
import torch
from conftest import SMALL, toy_split

import vsrpp_lite as vl
from vsrpp_lite.data.dataset import batches
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.data.write import write_dataset
from vsrpp_lite.matcher import Matcher, Progress, System
from vsrpp_lite.settings import Sizes
from vsrpp_lite.systems.encoders import project
from vsrpp_lite.systems.gvse import GVSE, gated
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN, VARIANTS
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.ranking import evaluate

SYSTEMS = [
    VSEpp(),
    VSEpp(measure="order", margin=0.05),
    SCO(),
    *VARIANTS.values(),
    GVSE(),
    SAEM(),
    SAEM(faithful=True),
    VSRN(),
    VSRN(norm="regions"),
    VSRpp(),
    VSRpp(bidirectional=False),
    VSRpp(norm="regions"),
    VSRpp(norm="scaled"),
    VSRpp(caption_loss=False, direction="i2t"),
    VSRpp(fusion="loss"),
    VSRpp(fusion="global", bidirectional=False),
    VSRpp(fusion="local"),
]
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=repr)


def setup(system, toy, split="train", size=16):
    data = open_split(toy, split)
    vocabulary = Vocabulary.build(data.captions)
    torch.manual_seed(0)
    matcher = system.build(vocabulary, data.feature_size, SMALL)
    for module in matcher.modules():  # a new graph layer is the identity: wake it up
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    batch = next(batches(data, vocabulary.encode_all(data.captions), size, seed=0, epoch=0))
    return matcher, batch


@every_system
def test_both_encoders_return_unit_vectors_real_ones_first(system, toy):
    matcher, batch = setup(system, toy)
    images, texts = matcher.eval().encode_batch(batch)
    for encoded, count in ((images, 5), (texts, batch.tokens.shape[1])):
        assert encoded.pooled.shape == (16, 16)
        assert encoded.fragments.shape == (*encoded.mask.shape, 16)
        assert encoded.mask.shape in {(16, count), (16, 1)}  # parts, or a whole
        torch.testing.assert_close(encoded.pooled.norm(dim=1), torch.ones(16))
        assert encoded.fragments[~encoded.mask].abs().sum() == 0
        if getattr(system, "norm", "features") != "regions":
            lengths = encoded.fragments[encoded.mask].norm(dim=1)
            torch.testing.assert_close(lengths, torch.ones_like(lengths))


@every_system
@pytest.mark.parametrize("hardest", [True, False])
def test_losses_are_finite_and_every_parameter_learns(system, toy, hardest):
    matcher, batch = setup(system, toy)
    losses = matcher(batch, Progress(warming_up=not hardest))
    assert ("caption" in losses) == (isinstance(system, VSRN | SCO) or getattr(system, "caption_loss", False))
    assert all(loss.isfinite() for loss in losses.values())
    matcher.total(losses).backward()
    for name, parameter in matcher.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every_system
def test_padding_and_order_change_nothing(system, toy):
    matcher, batch = setup(system, toy)
    images, texts = matcher.eval().encode_batch(batch)
    plain = matcher.similarity(images, texts)
    regions = torch.cat([batch.regions, torch.randn(16, 2, 12)], 1)
    region_mask = torch.cat([batch.region_mask, torch.zeros(16, 2, dtype=torch.bool)], 1)
    tokens = torch.cat([batch.tokens, torch.zeros(16, 3, dtype=torch.long)], 1)
    turn = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    wide_images, wide_texts = matcher.images(regions[turn], region_mask[turn]), matcher.texts(tokens, tokens > 0)
    torch.testing.assert_close(matcher.similarity(wide_images, wide_texts), plain[turn], atol=1e-5, rtol=1e-5)


@pytest.fixture
def distinct(tmp_path):
    """64 pictures, no two of the same pair of things, with one caption each."""
    split = toy_split(64, 5, pairs=list(combinations(range(16), 2))[:64])
    split = replace(split, captions=[captions[:1] for captions in split.captions])
    splits = dict.fromkeys(("train", "dev", "test"), split)
    return open_split(write_dataset(tmp_path / "distinct", name="distinct", source="tests", splits=splits), "train")


@pytest.mark.slow
@every_system
def test_it_learns_64_pairs_by_heart(system, distinct):
    vocabulary = Vocabulary.build(distinct.captions)
    torch.manual_seed(0)
    matcher = system.build(vocabulary, distinct.feature_size, Sizes(embed=64, word=32, caption=16, layers=1))
    optimizer = torch.optim.Adam(matcher.parameters(), lr=0.01)
    tokens = vocabulary.encode_all(distinct.captions)
    for step in range(300):
        (batch,) = batches(distinct, tokens, 64, seed=0, epoch=step)
        optimizer.param_groups[0]["lr"] = 0.01 if step < 225 else 0.001
        optimizer.zero_grad()
        matcher.total(matcher(batch, Progress(warming_up=not (step > 225)))).backward()
        optimizer.step()
        if step % 25 == 24 and (found := evaluate(matcher, distinct))["i2t_r1"] + found["t2i_r1"] > 195:
            return
    raise AssertionError(found)


def test_vsrn_can_normalise_over_regions_as_its_release_does(toy):
    matcher, batch = setup(VSRN(norm="regions"), toy)
    enhanced = matcher.eval().images(batch.regions, batch.region_mask).fragments
    torch.testing.assert_close(enhanced.norm(dim=1), torch.ones(16, 16))


def test_an_unknown_choice_is_refused_by_name():
    @dataclass(frozen=True, kw_only=True)
    class Mine(System):  # as all systems, but without the tests' own type checker
        mu: float = 2.0
        bidirectional: bool = True
        fusion: Literal["similarity", "loss"] = "similarity"

    with pytest.raises(TypeError, match="nu"):
        Mine(nu=2.0)
    for wrong, message in (
        ({"fusion": "los"}, "fusion is 'los'; expected one of similarity, loss"),
        ({"mu": float("nan")}, "mu is nan; expected a finite number"),
        ({"mu": "2"}, "mu is '2'; expected a finite number"),
        ({"bidirectional": 2}, "bidirectional is 2; expected True or False"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            Mine(**wrong)
    assert Mine(bidirectional=1, mu=2) == Mine(bidirectional=True, mu=2.0)
    assert Mine(bidirectional=1).bidirectional is True
    assert Mine(mu=-10).mu == -10.0  # a system of one's own may have negative numbers
    for wrong in ({"temperature": -1.0}, {"margin": -0.1}):
        for system in (SCAN, VSRpp):
            with pytest.raises(ValueError, match="expected at least 0"):
                system(**wrong)


def test_a_choice_may_have_one_of_several_types():
    @dataclass(frozen=True, kw_only=True)
    class Mine(System):
        depth: int | str | None = None

    assert [Mine(depth=x).depth for x in (3.0, "all", None)] == [3, "all", None]
    with pytest.raises(ValueError, match=r"depth is 2\.5; expected a whole number"):
        Mine(depth=2.5)


def test_regions_that_ask_must_be_unit_vectors():
    VSRpp(direction="i2t", norm="scaled")
    with pytest.raises(ValueError, match='direction is "i2t" and norm is "regions"; expected another norm'):
        VSRpp(direction="i2t", norm="regions")


@pytest.mark.parametrize(
    ("system", "sizes", "message"),
    [
        (VSRN(), {"caption": 0}, "caption is 0; expected the size of the caption decoder's state"),
        (SCO(), {"caption": 0}, "caption is 0; expected the size of the sentence generator's state"),
        (GVSE(), {"embed": 9}, "embed is 9; expected an even number"),
        (SAEM(), {"embed": 8}, "embed is 8 and word is 8; expected multiples of 16 and of 4"),
    ],
    ids=["vsrn", "sco", "gvse", "saem"],
)
def test_sizes_that_a_system_cannot_have_are_refused_by_name(system, sizes, message):
    with pytest.raises(ValueError, match=message):
        system.build(Vocabulary.build(["a dog"]), 4, replace(SMALL, **sizes))


def test_encoding_leaves_a_part_in_evaluation_mode_if_it_was(toy):
    """Whoever freezes an encoder, with the statistics of its batch norms, finds it frozen after a look at dev."""
    matcher = vl.Run(system=VSRN(), data=str(toy), sizes=SMALL).build().train()
    matcher.images.eval()
    matcher.encode_texts(["a red dog"])
    assert matcher.training and matcher.texts.training and not matcher.images.training


def test_a_matcher_without_a_loss_is_refused():
    parts = VSRN().build(Vocabulary.build(["a dog"]), 4, SMALL)
    with pytest.raises(ValueError, match="losses is empty; expected at least one loss"):
        Matcher(parts.tokenizer, parts.images, parts.texts, parts.similarity, {})


def test_the_layer_into_the_joint_space_begins_as_in_vse_pp():
    """Evenly between minus and plus sqrt(6 / (F + D)): from 500 numbers to 100 that is a tenth."""
    torch.manual_seed(0)
    layer = project(500, 100)
    assert 0.099 < layer.weight.abs().max() <= 0.1
    assert layer.weight.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)
    assert layer.bias.tolist() == [0] * 100


def test_matching_does_not_teach_the_concepts_of_sco(toy):
    """Labels do: they are a network of their own in the paper."""
    matcher, batch = setup(SCO(), toy)
    losses = matcher(batch, Progress())
    predictor = list(matcher.losses["concepts"].predictor.parameters())
    unused = torch.autograd.grad(losses["ranking"] + losses["caption"], predictor, allow_unused=True, retain_graph=True)
    assert unused == (None,) * len(predictor)
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(losses["concepts"], predictor))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_gate_that_is_sure_has_finite_gradients(precision):
    """The root of 1 - g has an infinite slope at g = 1, and at g = 0 so has the root of g."""
    gates = torch.tensor([[-200.0], [-20.0], [0.0], [20.0], [200.0]], requires_grad=True)
    halves = torch.ones(2, 5, 3, requires_grad=True)
    joined = gated(*halves.to(precision), gates.to(precision))
    joined.float().square().sum().backward()
    assert gates.grad.isfinite().all() and halves.grad.isfinite().all()
    torch.testing.assert_close(joined.float().norm(dim=1), torch.ones(5), atol=1e-2, rtol=0)
