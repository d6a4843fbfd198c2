"""Image encoders that systems share: they encode each region by itself, or reason over the graph of regions."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vsrpp_lite.gcn_reasoning import GCNReasoning
from vsrpp_lite.global_alignment import RegionGRU, l2norm
from vsrpp_lite.matcher import Encoded

Norm = Literal["features", "regions", "scaled"]
"""How V* is normalised: over features, as the papers write; over regions, as VSRN's released code does; or over
features, and the region GRU reads sqrt(D / R) V*, where R counts the image's regions."""


def project(feature_size: int, embed_size: int) -> nn.Linear:
    """Build the layer from features to the joint space, initialised as in VSE++ (Xavier uniform, zero bias)."""
    linear = nn.Linear(feature_size, embed_size)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def masked_mean(x: Float[Tensor, "B K D"], mask: Bool[Tensor, "B K"]) -> Float[Tensor, "B D"]:
    """Return the mean of the fragments that exist."""
    return (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def whole(pooled: Float[Tensor, "B D"]) -> Encoded:
    """Return an encoding without parts, in which the whole is the only fragment."""
    return Encoded(pooled, pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool, device=pooled.device))


class PlainRegions(nn.Module):
    """The image encoder of SCAN and VSE++. It projects each region by itself; VSE++ compares their mean."""

    def __init__(self, feature_size: int, embed_size: int):
        super().__init__()
        self.project = project(feature_size, embed_size)

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        projected = self.project(regions)
        return Encoded(l2norm(masked_mean(projected, mask)), l2norm(projected) * mask[:, :, None], mask)


class GraphRegions(nn.Module):
    """The image encoder of VSRN and VSR++: it projects regions, reasons over their graph (V*), and reads V* with a GRU.

    Args:
        norm: how V* is normalised. Over features, as the papers write, every region has length one. Its D entries are
            about 1 / sqrt(D). Over regions, as VSRN's release does, entries are about 1 / sqrt(R) and a region is
            about sqrt(D / R) long. Perhaps a GRU with its usual small weights hardly moves if its input is small; we
            did not test this. The author of the release agreed that this axis looks wrong. With "scaled", V* is
            normalised over features, and the GRU reads it with the length sqrt(D / R).
        gru: whether a GRU reads V*. Without it, the pooled vector is the mean of V*. A system that has only a local
            similarity does not use the pooled vector.
    """

    def __init__(self, feature_size: int, embed_size: int, layers: int, *, norm: Norm = "features", gru: bool = True):
        super().__init__()
        self.project = project(feature_size, embed_size)
        self.reason = GCNReasoning(embed_size, layers)
        self.read = RegionGRU(embed_size) if gru else None
        self.norm = norm

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        reasoned = self.reason(self.project(regions), mask) * mask[:, :, None]
        if self.norm == "regions":
            enhanced = reasoned / reasoned.norm(dim=1, keepdim=True).clamp(min=torch.finfo(reasoned.dtype).tiny)
        else:
            enhanced = l2norm(reasoned)
        if self.read is None:
            return Encoded(l2norm(masked_mean(enhanced, mask)), enhanced, mask)
        if self.norm == "scaled":
            longer = enhanced * (enhanced.shape[2] / mask.sum(1)).sqrt()[:, None, None]
            return Encoded(self.read(longer, mask), enhanced, mask)
        return Encoded(self.read(enhanced, mask), enhanced, mask)
