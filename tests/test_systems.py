"""Every system keeps the contract: encoders, losses, gradients, and nothing that padding or order could change."""

import pytest
import torch
from conftest import SMALL
from lightning_fabric import Fabric

from vsrpp_lite.data import batches
from vsrpp_lite.evaluate import evaluate
from vsrpp_lite.precomp import open_split
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.text import Vocabulary
from vsrpp_lite.train import batch_losses, total

SYSTEMS = [
    VSRN(),
    VSRN(faithful=True),
    SCAN(),
    SCAN(direction="i2t", pooling="lse", temperature=4.0, lse=5.0),
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
        assert encoded.fragments.shape == (16, count, 16)
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


@every_system
def test_it_can_learn_a_handful_of_pairs_by_heart(system, toy):
    data = open_split(toy, "dev")[:8]
    vocabulary = Vocabulary.build(data.captions)
    torch.manual_seed(0)
    matcher = system.build(vocabulary, data.feature_size, SMALL)
    optimizer = torch.optim.Adam(matcher.parameters(), lr=0.01)
    tokens = vocabulary.encode_all(data.captions)
    for epoch in range(120):
        for batch in batches(data, tokens, 24, seed=0, epoch=epoch):
            optimizer.zero_grad()
            total(matcher, batch_losses(matcher, matcher, batch, FABRIC, hardest=epoch > 20)).backward()
            optimizer.step()
    assert evaluate(matcher, data)["i2t_r1"] == 100.0


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
