"""GVSE-style: Few-Shot Image and Sentence Matching via Gated Visual-Semantic Embedding (Huang et al., AAAI 2019).

    common     v_c = l2norm( W_c mean(X) )              t_c = l2norm( GRU(learned embeddings) )        (B, D/2)
    uncommon   v_u = l2norm( max_r W_u x_r )            t_u = l2norm( max_w M_u e_w ), e_w fixed       (B, D/2)
    gates      h = sigmoid( a . mean(X) + b )           g = sigmoid( c . mean(e) + d )                 (B, 1)
    v = [sqrt(1-h) v_c ; sqrt(h) v_u]                   t = [sqrt(1-g) t_c ; sqrt(g) t_u]
    S = v . t = sqrt((1-h)(1-g)) v_c . t_c + sqrt(h g) v_u . t_u                  L = hinge(S)

Published recalls at 1, 5, 10, of text then of image retrieval (a later survey marks them as an ensemble): Flickr30K
68.5 90.9 95.5 50.6 79.8 87.6; MS-COCO 1K 72.2 94.1 98.1 60.5 89.4 95.8.

We have neither the code nor the text of the paper. As we recall its abstract, it has three parts: an embedding of
common content, which is learned from scratch; an embedding of uncommon content, which uses generic features from
elsewhere; and a gate that mixes the two similarities. We surmise the rest, and use VSE++'s recipe. Our gates read the
picture and the sentence, so that S stays the cosine of two vectors. If both gates agree, h = g, then S = (1 - g) s_c +
g s_u, where s_c and s_u are the similarities of common and of uncommon content. The package has no pretrained word
vectors. In their place we use fixed vectors that are made from the letters of a word, so that a rare word resembles
words with a similar spelling.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsrpp_lite.data.text import SPECIALS, Tokenizer
from vsrpp_lite.global_alignment import Hinge, SentenceGRU, cosine, l2norm
from vsrpp_lite.matcher import Encoded, Matcher, System
from vsrpp_lite.settings import Sizes, Training
from vsrpp_lite.systems.encoders import masked_mean, project, whole


def letter_vectors(words: Sequence[str], size: int) -> Float[np.ndarray, "V E"]:
    """Return a fixed unit vector for each word: the sum of random vectors, one for each run of three to five letters.

    V is the number of words, and E is `size`.

    >>> dog, dogs, car = letter_vectors(["dog", "dogs", "car"], 300)
    >>> bool(dog @ dogs > 0.3 > abs(dog @ car))
    True
    """
    drawn: dict[str, np.ndarray] = {}

    def vector(run: str) -> np.ndarray:
        if run not in drawn:
            drawn[run] = np.random.default_rng(zlib.crc32(run.encode())).standard_normal(size, dtype=np.float32)
        return drawn[run]

    sums = []
    for word in words:
        marked = f"<{word}>"
        runs = [marked[k : k + n] for n in (3, 4, 5) for k in range(max(1, len(marked) - n + 1))]
        sums.append(sum(map(vector, runs)))
    return np.stack([x / np.linalg.norm(x) for x in sums])


def strongest(x: Float[Tensor, "B N E"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B E"]:
    """Return the maximum over the fragments that exist. Rare content counts even if only one fragment shows it."""
    return x.masked_fill(~mask[:, :, None], -torch.inf).amax(1)


def gated(
    common: Float[Tensor, "B E"], uncommon: Float[Tensor, "B E"], gate: Float[Tensor, "B 1"]
) -> Float[Tensor, "B D"]:
    """Join both embeddings to one unit vector, with D = 2E. The second embedding has the weight `sigmoid(gate)`."""
    # a weight that is rounded to 0 or 1 would have an infinite gradient of its root
    weight = gate.to(torch.promote_types(gate.dtype, torch.float32)).clamp(-15, 15).sigmoid()
    return torch.cat([(1 - weight).sqrt() * l2norm(common), weight.sqrt() * l2norm(uncommon)], 1)


class GatedImage(nn.Module):
    """The image encoder: it embeds the common and the uncommon content of a picture."""

    def __init__(self, feature_size: int, embed_size: int):
        super().__init__()
        self.common = project(feature_size, embed_size // 2)
        self.uncommon = project(feature_size, embed_size // 2)
        self.gate = nn.Linear(feature_size, 1)

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        mean = masked_mean(regions, mask)
        return whole(gated(self.common(mean), strongest(self.uncommon(regions), mask), self.gate(mean)))


class GatedSentence(nn.Module):
    """The text encoder: it embeds the common and the uncommon content of a sentence."""

    vectors: Tensor
    """(V, E), the fixed vectors of the words; those of the special tokens are zero."""

    def __init__(self, tokenizer: Tokenizer, word_size: int, embed_size: int):
        super().__init__()
        self.common = SentenceGRU(len(tokenizer), word_size, embed_size // 2, bidirectional=False)
        vectors = torch.from_numpy(letter_vectors(tokenizer.words, word_size))
        vectors[: len(SPECIALS)] = 0
        self.register_buffer("vectors", vectors)
        self.uncommon = project(word_size, embed_size // 2)
        self.gate = nn.Linear(word_size, 1)

    def forward(self, tokens: Int[Tensor, "B W"], mask: Bool[Tensor, "B W"]) -> Encoded:
        vectors = self.vectors[tokens]
        uncommon = strongest(self.uncommon(vectors), mask)
        return whole(gated(self.common(tokens, mask).pooled, uncommon, self.gate(masked_mean(vectors, mask))))


@dataclass(frozen=True, kw_only=True)
class GVSE(System):
    """The system: learned gates mix two global alignments, one of common and one of uncommon content."""

    margin: float = 0.2

    published_sizes: ClassVar[Sizes] = Sizes(embed=2048, word=300, caption=0, layers=0)
    published_training: ClassVar[Training] = Training(epochs=30, decay_every=15)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        """Build the matcher.

        Raises:
            ValueError: D is odd, so that it cannot be divided between the two embeddings.
        """
        if sizes.embed % 2:
            raise ValueError(f"embed is {sizes.embed}; expected an even number, half of it for each of two embeddings")
        return Matcher(
            tokenizer,
            images=GatedImage(feature_size, sizes.embed),
            texts=GatedSentence(tokenizer, sizes.word, sizes.embed),
            similarity=cosine,
            losses={"ranking": Hinge(cosine, self.margin)},
        )
