"""Every system keeps the contract: encoders, losses, gradients, and nothing that padding or order could change."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from conftest import SMALL, toy_split
from lightning_fabric import Fabric

from vsrpp_lite.data import batches
from vsrpp_lite.evaluate import evaluate
from vsrpp_lite.matcher import Sizes
from vsrpp_lite.precomp import open_split, write_dataset
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN, VARIANTS
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.text import Vocabulary
from vsrpp_lite.train import batch_losses, total

SYSTEMS = [
    VSEpp(),
    VSEpp(measure="order", margin=0.05),
    SCO(),
    *VARIANTS.values(),
    GVSE(),
    SAEM(),
    SAEM(faithful=True),
    VSRN(),
    VSRN(faithful=True),
    VSRpp(),
    VSRpp(bidirectional=False),
    VSRpp(caption_loss=False, direction="i2t"),
    VSRpp(fusion="loss"),
    VSRpp(fusion="global", bidirectional=False),
    VSRpp(fusion="local"),
]
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=repr)
FABRIC = Fabric(accelerator="cpu")


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
    images, texts, _ = matcher.eval()(batch)
    for encoded, count in ((images, 5), (texts, batch.tokens.shape[1])):
        assert encoded.pooled.shape == (16, 16)
        assert encoded.fragments.shape == (*encoded.mask.shape, 16)
        assert encoded.mask.shape in {(16, count), (16, 1)}  # parts, or a whole
        torch.testing.assert_close(encoded.pooled.norm(dim=1), torch.ones(16))
        assert encoded.fragments[~encoded.mask].abs().sum() == 0
        if not getattr(system, "faithful", False):
            lengths = encoded.fragments[encoded.mask].norm(dim=1)
            torch.testing.assert_close(lengths, torch.ones_like(lengths))


@every_system
@pytest.mark.parametrize("hardest", [True, False])
def test_losses_are_finite_and_every_parameter_learns(system, toy, hardest):
    matcher, batch = setup(system, toy)
    losses = batch_losses(matcher, matcher, batch, FABRIC, hardest=hardest)
    assert ("caption" in losses) == ("caption" in matcher.added)
    assert all(loss.isfinite() for loss in losses.values())
    total(matcher, losses).backward()
    for name, parameter in matcher.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every_system
def test_padding_and_order_change_nothing(system, toy):
    matcher, batch = setup(system, toy)
    images, texts, _ = matcher.eval()(batch)
    plain = matcher.similarity(images, texts)
    regions = torch.cat([batch.regions, torch.randn(16, 2, 12)], 1)
    region_mask = torch.cat([batch.region_mask, torch.zeros(16, 2, dtype=torch.bool)], 1)
    tokens = torch.cat([batch.tokens, torch.zeros(16, 3, dtype=torch.long)], 1)
    turn = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    wide_images, wide_texts = matcher.images(regions[turn], region_mask[turn]), matcher.texts(tokens, tokens > 0)
    torch.testing.assert_close(matcher.similarity(wide_images, wide_texts), plain[turn], atol=1e-5, rtol=1e-5)


@every_system
def test_saved_and_loaded_scores_are_equal(system, toy, tmp_path):
    matcher, batch = setup(system, toy)
    torch.save(matcher.state_dict(), tmp_path / "weights.pt")
    again, _ = setup(system, toy)
    for parameter in again.parameters():
        torch.nn.init.normal_(parameter)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    images, texts, _ = matcher.eval()(batch)
    same_images, same_texts, _ = again.eval()(batch)
    assert torch.equal(matcher.similarity(images, texts), again.similarity(same_images, same_texts))


@pytest.fixture
def distinct(tmp_path):
    """64 pictures, no two of the same pair of things, with one caption each."""
    split = toy_split(64, 5, pairs=list(combinations(range(16), 2))[:64])
    split = replace(split, captions=[captions[:1] for captions in split.captions])
    splits = dict.fromkeys(("train", "dev", "test"), split)
    return open_split(write_dataset(tmp_path / "distinct", name="distinct", source="tests", splits=splits), "train")


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
        total(matcher, batch_losses(matcher, matcher, batch, FABRIC, hardest=step > 225)).backward()
        optimizer.step()
        if step % 25 == 24 and (found := evaluate(matcher, distinct))["i2t_r1"] + found["t2i_r1"] == 200:
            return
    raise AssertionError(found)


def test_faithful_vsrn_normalises_over_regions(toy):
    matcher, batch = setup(VSRN(faithful=True), toy)
    enhanced = matcher.eval().images(batch.regions, batch.region_mask).fragments
    torch.testing.assert_close(enhanced.norm(dim=1), torch.ones(16, 16))


def test_an_unknown_choice_is_refused_by_name():
    with pytest.raises(TypeError, match="nu"):
        VSRpp(nu=2.0)
    with pytest.raises(ValueError, match="fusion is 'los'; expected one of similarity, loss"):
        Run(system=VSRpp(fusion="los"))
    with pytest.raises(ValueError, match="direction is 'T2I'; expected one of t2i, i2t"):
        Run(system=SCAN(direction="T2I"))
