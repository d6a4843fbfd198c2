"""Lesson 1. Region graph reasoning: every region takes messages from all regions and adds them to itself.

VSRN (Li et al., ICCV 2019, section 3.2) and VSR++ (ICPR 2020) use it, after non-local networks. V (B, R, D) holds the
regions of B images. One layer computes

    A  = (V W_theta) (V W_phi)^T / R          (B, R, R)  pairwise affinity, no softmax
    V* = V + BN( (A V W_g) W_r )              (B, R, D)  message passing, residual

The scale of BN starts at zero, so that a new layer returns V unchanged and learns its messages from there.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class RegionGraph(nn.Module):
    """One layer of graph reasoning over the regions of an image."""

    def __init__(self, embed_size: int):
        super().__init__()
        self.theta = nn.Linear(embed_size, embed_size)
        self.phi = nn.Linear(embed_size, embed_size)
        self.message = nn.Linear(embed_size, embed_size)
        self.update = nn.Linear(embed_size, embed_size)
        self.norm = nn.BatchNorm1d(embed_size)
        nn.init.zeros_(self.norm.weight)

    def affinity(self, regions: Float[Tensor, "B R D"], mask: Bool[Tensor, "B R"]) -> Float[Tensor, "B R R"]:
        """Return A: how much region r (row) takes from region s (column). Missing regions give nothing."""
        affinity = self.theta(regions) @ self.phi(regions).transpose(1, 2)
        affinity = affinity.masked_fill(~mask[:, None, :], 0.0)
        return affinity / mask.sum(dim=1)[:, None, None]

    def forward(self, regions: Float[Tensor, "B R D"], mask: Bool[Tensor, "B R"]) -> Float[Tensor, "B R D"]:
        messages = self.update(self.affinity(regions, mask) @ self.message(regions))
        # the statistics of BN come from real regions alone, since padding would distort them
        normed = torch.zeros_like(messages)
        normed[mask] = self.norm(messages[mask])
        return regions + normed


class GCNReasoning(nn.Module):
    """A stack of `RegionGraph` layers, each with its own weights (four in the paper). It turns regions into V*."""

    def __init__(self, embed_size: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(RegionGraph(embed_size) for _ in range(layers))

    def forward(self, regions: Float[Tensor, "B R D"], mask: Bool[Tensor, "B R"]) -> Float[Tensor, "B R D"]:
        for layer in self.layers:
            regions = layer(regions, mask)
        return regions
