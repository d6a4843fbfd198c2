"""How systems turn regions into an image: each region by itself, or reasoned over as a graph."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vsrpp_lite.gcn_reasoning import GCNReasoning
from vsrpp_lite.global_alignment import RegionGRU, l2norm
from vsrpp_lite.matcher import Encoded


def project(feature_size: int, embed_size: int) -> nn.Linear:
    """The layer from region features to the joint space, initialised as VSE++ does (Xavier uniform, zero bias)."""
    linear = nn.Linear(feature_size, embed_size)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def masked_mean(x: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B D"]:
    """The mean of the fragments that exist."""
    return (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def whole(pooled: Float[Tensor, "B D"]) -> Encoded:
    """An encoding without parts: the whole is its only fragment."""
    return Encoded(pooled, pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool, device=pooled.device))


class PlainRegions(nn.Module):
    """Every region projected by itself: the fragments that SCAN compares, and their mean, which VSE++ does."""

    def __init__(self, feature_size: int, embed_size: int):
        super().__init__()
        self.project = project(feature_size, embed_size)

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        projected = self.project(regions)
        return Encoded(l2norm(masked_mean(projected, mask)), l2norm(projected) * mask[:, :, None], mask)


class GraphRegions(nn.Module):
    """VSRN's and VSR++'s image: project, reason over the graph of regions (V*), read V* with a GRU.

    Without `read` the pooled vector is the mean of V*: for a local similarity alone, which does not look at it.
    With `faithful`, V* is normalised over the *regions*, without epsilon, as VSRN's released code does (its author
    agreed that the axis looks wrong); otherwise over features, as the papers write.
    """

    def __init__(self, feature_size: int, embed_size: int, layers: int, *, faithful: bool = False, read: bool = True):
        super().__init__()
        self.project = project(feature_size, embed_size)
        self.reason = GCNReasoning(embed_size, layers)
        self.read = RegionGRU(embed_size) if read else None
        self.faithful = faithful

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        reasoned = self.reason(self.project(regions), mask) * mask[:, :, None]
        if self.faithful:
            enhanced = reasoned / reasoned.norm(dim=1, keepdim=True).clamp(min=torch.finfo(reasoned.dtype).tiny)
        else:
            enhanced = l2norm(reasoned)
        pooled = self.read(enhanced, mask) if self.read is not None else l2norm(masked_mean(enhanced, mask))
        return Encoded(pooled, enhanced, mask)
