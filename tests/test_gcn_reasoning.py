"""Lesson 1 against a pencil: two regions of one number each, and a loop over regions."""

import torch

from vsrpp_lite.gcn_reasoning import GCNReasoning, RegionGraph


def awake(size):
    """A layer whose normalisation no longer starts at zero, in evaluation mode."""
    torch.manual_seed(0)
    layer = RegionGraph(size).eval()
    torch.nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
    layer.norm.running_mean.uniform_(-0.1, 0.1)
    return layer.double()


def test_affinity_by_hand():
    layer = RegionGraph(1)
    with torch.no_grad():
        for linear, weight in ((layer.theta, 2.0), (layer.phi, 3.0)):
            linear.weight.fill_(weight)
            linear.bias.zero_()
    regions = torch.tensor([[[1.0], [10.0]]])
    # theta: 2 and 20, phi: 3 and 30; products over R = 2
    expected = torch.tensor([[[3.0, 30.0], [30.0, 300.0]]])
    torch.testing.assert_close(layer.affinity(regions, torch.ones(1, 2, dtype=torch.bool)), expected)


def test_messages_equal_a_loop_over_regions():
    layer, regions = awake(4), torch.randn(2, 3, 4, dtype=torch.float64)
    mask = torch.ones(2, 3, dtype=torch.bool)
    for image in range(2):
        for r in range(3):
            received = sum(
                (layer.theta(regions[image, r]) @ layer.phi(regions[image, s])) / 3 * layer.message(regions[image, s])
                for s in range(3)
            )
            expected = regions[image, r] + layer.norm(layer.update(received)[None])[0]
            torch.testing.assert_close(layer(regions, mask)[image, r], expected)


def test_a_new_stack_is_the_identity():
    torch.manual_seed(0)
    regions, mask = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    torch.testing.assert_close(GCNReasoning(8, layers=4)(regions, mask), regions)


def test_missing_regions_send_nothing_and_move_no_statistics():
    torch.manual_seed(0)
    regions = torch.randn(2, 3, 4, dtype=torch.float64)
    mask = torch.ones(2, 3, dtype=torch.bool)
    padded = torch.cat([regions, 100 * torch.randn(2, 2, 4, dtype=torch.float64)], 1)
    padded_mask = torch.cat([mask, torch.zeros(2, 2, dtype=torch.bool)], 1)
    plain, with_padding = awake(4).train(), awake(4).train()
    torch.testing.assert_close(with_padding(padded, padded_mask)[:, :3], plain(regions, mask))
    torch.testing.assert_close(with_padding.norm.running_mean, plain.norm.running_mean)
