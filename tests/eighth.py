"""An eighth system, as a user would write it in a file of their own: a learned similarity, trained with InfoNCE."""

from dataclasses import dataclass

import torch
from torch import nn

import vsrpp_lite as vl
from vsrpp_lite.systems.encoders import PlainRegions


class Bilinear(nn.Module):
    """S = v . M t, with a matrix M that is learned from the identity."""

    def __init__(self, size: int):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(size))
        self.dropout = nn.Dropout(0.1)

    def forward(self, images: vl.Encoded, texts: vl.Encoded) -> torch.Tensor:
        return self.dropout(images.pooled @ self.matrix) @ texts.pooled.T


@dataclass(frozen=True, kw_only=True)
class Eighth(vl.System):
    """Mean regions and a sentence GRU, compared by a learned bilinear form."""

    temperature: float = 0.1
    published_sizes = vl.Sizes(embed=64, word=32, caption=0, layers=0)

    def build(self, tokenizer: vl.Tokenizer, feature_size: int, sizes: vl.Sizes) -> vl.Matcher:
        similarity = Bilinear(sizes.embed)
        return vl.Matcher(
            tokenizer,
            images=PlainRegions(feature_size, sizes.embed),
            texts=vl.SentenceGRU(len(tokenizer), sizes.word, sizes.embed, bidirectional=False),
            similarity=similarity,
            losses={"ranking": vl.InfoNCE(similarity, self.temperature)},
        )
