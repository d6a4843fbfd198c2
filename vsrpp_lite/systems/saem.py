"""SAEM: Learning Fragment Self-Attention Embeddings for Image-Text Matching (Wu et al., ACM MM 2019).

    v = l2norm( mean_r transformer(X W + b) )                  (B, D)   one layer of self-attention, no positions
    H = BERT(pieces), frozen; or one transformer layer over learned words and their positions           (B, W, E)
    t = l2norm( W_t [max_w relu(conv_k H)]_{k = 1, 2, 3} )     (B, D)   2D channels per width k
    S = v . t          L = hinge(S) + 0.5 * 0.1^m * angular loss, m = 2 * decays of the learning rate, rounded down

    angular, an image as anchor a, its text as positive p, the hardest other text n:
        log(1 + exp( 4 (a + p) . n - 4 a . p )),               and the same from text to image

Published recalls at 1, 5, 10, of text then of image retrieval: Flickr30K 69.1 91.0 95.1 52.4 81.1 88.1; MS-COCO 1K
71.2 94.1 97.7 57.8 88.6 94.9. With a BERT of random weights, its code is reported at Flickr30K R@1 of 50.4 and 34.1.

The tables train the small transformer, since the package has no BERT. `bert="folder"` uses a BERT from disk with its
own word pieces, and needs the extra `pip install vsrpp_lite[bert]`. We do not reproduce the release's penalty of 0.01
on the norms of image weights. Its angular loss ends after epoch 20; ours does not end, but has decayed to 5e-5 by then.
Positions are sines and cosines. Both transformer layers are like BERT's; heads have 16 numbers over regions, and there
are 4 heads over words.
"""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from vsrpp_lite.data.text import Tokenizer, WordPieces
from vsrpp_lite.extras import extra
from vsrpp_lite.global_alignment import RELEASED_BATCH, Hinge, cosine, l2norm
from vsrpp_lite.matcher import Comparison, Encoded, Loss, Matcher, System
from vsrpp_lite.settings import Sizes, Training
from vsrpp_lite.systems.encoders import masked_mean, project, whole

WIDTHS = (1, 2, 3)
RELEASED_LENGTH = 32


def self_attention(size: int, heads: int, hidden: int) -> nn.TransformerEncoderLayer:
    """Build one transformer layer as BERT has it: post-normalised, with GELU and a dropout of 0.1."""
    return nn.TransformerEncoderLayer(
        size, heads, hidden, activation="gelu", layer_norm_eps=1e-12, batch_first=True, dropout=0.1
    )


class AttendedRegions(nn.Module):
    """The image encoder: regions attend to each other, and their mean becomes the image vector."""

    def __init__(self, feature_size: int, embed_size: int):
        super().__init__()
        self.project = project(feature_size, embed_size)
        self.attend = self_attention(embed_size, embed_size // 16, 8 * embed_size)

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        attended = self.attend(self.project(regions), src_key_padding_mask=~mask)
        return Encoded(l2norm(masked_mean(attended, mask)), l2norm(attended) * mask[:, :, None], mask)


class LearnedWords(nn.Module):
    """States of words without a BERT: learned embeddings with positions, then one layer of self-attention."""

    longest = sys.maxsize
    """Largest number of words that it can read."""

    def __init__(self, vocabulary_size: int, word_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, word_size, padding_idx=0)
        self.attend = self_attention(word_size, 4, 4 * word_size)

    def forward(self, tokens: Int[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N E"]:
        size = self.embedding.embedding_dim
        angles = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * torch.exp(
            torch.arange(0, size, 2, device=tokens.device) * (-math.log(10_000) / size)
        )
        positions = torch.cat([angles.sin(), angles.cos()], 1)
        return self.attend(self.embedding(tokens) + positions, src_key_padding_mask=~mask)


class Bert(nn.Module):
    """A frozen, pretrained BERT. With `faithful`, its dropout is on in training, as released.

    Args:
        folder: the folder of config.json.
        pretrained: whether the folder has the weights, too. Else they are random until those of a trained model take
            their place.

    Raises:
        ImportError: transformers is not installed.
        OSError: the folder holds no model.
    """

    def __init__(self, folder: Path, *, pretrained: bool, faithful: bool):
        super().__init__()
        with extra("bert"):
            from transformers import AutoConfig, AutoModel

        if pretrained:
            model = AutoModel.from_pretrained(folder, local_files_only=True)
        else:
            model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
        self.model = model.requires_grad_(False)
        self.longest = model.config.max_position_embeddings
        self.faithful = faithful

    def forward(self, pieces: Int[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N E"]:
        self.model.train(self.training and self.faithful)
        return self.model(input_ids=pieces, attention_mask=mask.long()).last_hidden_state


class ConvolvedWords(nn.Module):
    """The sentence encoder: the largest answer of each convolution over runs of one, two and three words.

    With `faithful`, captions are cut or padded to 32 positions, and answers to the padding count, as released. A
    caption is also cut where it is longer than `states` can read, which is 512 word pieces for BERT.
    """

    def __init__(self, states: LearnedWords | Bert, state_size: int, embed_size: int, *, faithful: bool):
        super().__init__()
        self.states = states
        self.convolutions = nn.ModuleList(nn.Conv1d(state_size, 2 * embed_size, width) for width in WIDTHS)
        self.dropout = nn.Dropout(0.1)
        self.project = project(2 * len(WIDTHS) * embed_size, embed_size)
        self.faithful = faithful

    def forward(self, tokens: Int[Tensor, "B W"], mask: Bool[Tensor, "B W"]) -> Encoded:
        length = RELEASED_LENGTH if self.faithful else max(*WIDTHS, int(mask.sum(1).max()))
        length = min(length, self.states.longest)
        tokens, mask = (pad(x, (0, length - x.shape[1])) for x in (tokens, mask))
        states = self.states(tokens, mask).transpose(1, 2)
        answers = []
        for width, convolution in zip(WIDTHS, self.convolutions, strict=True):
            answer = convolution(states).relu()
            if not self.faithful:  # a run of words exists if its last word exists
                answer = answer.masked_fill(~mask[:, None, width - 1 :], 0.0)
            answers.append(answer.amax(2))
        return whole(l2norm(self.project(self.dropout(torch.cat(answers, 1)))))


class Angular(Loss):
    """The angular loss at 45 degrees of the hardest negatives in both directions. Its factor decays in training."""

    weight = RELEASED_BATCH

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        images, texts = comparison.images.pooled, comparison.texts.pooled
        negatives = comparison.negatives
        for_images = angular(images, texts, comparison.all_texts.pooled, negatives)
        for_texts = angular(texts, images, comparison.all_images.pooled, negatives)
        return 0.5 * 0.1 ** int(2 * comparison.progress.decays) * (for_images + for_texts).mean()


def angular(
    anchors: Float[Tensor, "B D"],
    positives: Float[Tensor, "B D"],
    others: Float[Tensor, "N D"],
    negatives: Bool[Tensor, "B N"],
) -> Float[Tensor, " B"]:
    """Return the angular loss of each anchor with its own partner and the hardest of its negatives."""
    excess = 4 * (anchors + positives) @ others.T - 4 * (anchors * positives).sum(1, keepdim=True)
    return softplus(excess.masked_fill(~negatives, -torch.inf).amax(1))


@dataclass(frozen=True, kw_only=True)
class SAEM(System):
    """Global alignment of self-attended regions and convolved words."""

    bert: str | None = None
    """Folder of a pretrained BERT with its tokenizer, as `transformers` saves them. The path of the folder identifies a
    run, so put different weights into a different folder."""
    margin: float = 0.2
    faithful: bool = False
    """Use 32 positions, padding included, and keep the dropout of BERT on in training, as the release does."""

    published_sizes: ClassVar[Sizes] = Sizes(embed=256, word=768, caption=0, layers=0)
    published_training: ClassVar[Training] = Training(epochs=30, batch_size=64, learning_rate=1e-4)

    def tokenizer(self, captions: Iterable[str], min_count: int) -> Tokenizer:
        """Return BERT's own word pieces if there is a BERT; else a vocabulary."""
        return WordPieces(self.bert) if self.bert else super().tokenizer(captions, min_count)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        """Build the matcher.

        Raises:
            ValueError: the heads of the attention do not divide the sizes.
        """
        if sizes.embed % 16 or (not self.bert and sizes.word % 4):
            found = f"embed is {sizes.embed} and word is {sizes.word}"
            raise ValueError(f"{found}; expected multiples of 16 and of 4, which the heads of the attention divide")
        if self.bert:
            # a trained model carries its word pieces, and a BERT that lies at this path here may be another one
            folder = cast(WordPieces, tokenizer).folder
            bert = Bert(folder, pretrained=folder == Path(self.bert), faithful=self.faithful)
            states: LearnedWords | Bert = bert
            state_size = int(bert.model.config.hidden_size)
        else:
            states, state_size = LearnedWords(len(tokenizer), sizes.word), sizes.word
        return Matcher(
            tokenizer,
            images=AttendedRegions(feature_size, sizes.embed),
            texts=ConvolvedWords(states, state_size, sizes.embed, faithful=self.faithful),
            similarity=cosine,
            losses={"ranking": Hinge(cosine, self.margin), "angular": Angular()},
        )
