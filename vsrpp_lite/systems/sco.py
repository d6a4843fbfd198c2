"""SCO-style, after: Learning Semantic Concepts and Order for Image and Sentence Matching (Huang et al., CVPR 2018).

    p  = max over regions and their mean of sigmoid( MLP(x) )   (B, K)   which concepts the picture shows
    p' = l2norm(W_l p)     x' = l2norm(W_g mean(X))             (B, D)   concepts; global context
    g  = sigmoid(U_l p + U_g mean(X))                           (B, D)   gate
    v  = l2norm( g p' + (1 - g) x' )     t = l2norm( LSTM(words) )       S = v . t
    L  = hinge(S) - sum_t log p(y_t | y_1 ... y_{t-1}, v) + concept loss

Published recalls at 1, 5, 10, of text then of image retrieval: Flickr30K 55.5 82.0 89.3 41.1 70.5 80.1; MS-COCO 1K
69.9 92.9 97.5 56.7 87.5 94.8.

There is no public code. The abstract names concepts from a multi-regional multi-label CNN, a gated fusion unit, joint
matching and sentence generation, and a conventional LSTM. We surmise everything else. Concepts are the K = 256 most
frequent content words of the training captions. As far as we know, the paper predicts them with a separate network; our
predictor trains beside the rest on labels of its own, and the gradient of matching does not reach it. We use VSE++'s
recipe with hardest negatives. Generation has the weight 1, and its LSTM sees v first and the true words after it.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from vsrpp_lite.data.text import FUNCTION_WORDS, SPECIALS, Tokenizer
from vsrpp_lite.global_alignment import Hinge, cosine, in_full_precision, l2norm, read
from vsrpp_lite.matcher import Comparison, Encoded, Loss, Matcher, System
from vsrpp_lite.settings import Sizes, Training
from vsrpp_lite.systems.encoders import masked_mean, project, whole

CONCEPTS = 256
"""K, the number of concepts that a picture may show."""


def concepts_of(tokenizer: Tokenizer) -> list[int]:
    """Return the token ids of the `CONCEPTS` most frequent content words."""
    # a vocabulary is sorted by falling counts, after its special tokens
    words = enumerate(tokenizer.words[len(SPECIALS) :], len(SPECIALS))
    return [k for k, word in words if word not in FUNCTION_WORDS][:CONCEPTS]


class ConceptPredictor(nn.Module):
    """Predicts which concepts a picture shows: the logits (B, K) are maxima over the regions and their mean."""

    def __init__(self, feature_size: int, hidden_size: int, concepts: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(feature_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, concepts))

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Float[Tensor, "B K"]:
        by_region = self.layers(regions).masked_fill(~mask[:, :, None], -torch.inf).amax(1)
        return torch.maximum(by_region, self.layers(masked_mean(regions, mask)))


class ConceptLoss(Loss):
    """The sum of K independent logistic losses. The labels of a picture are the concepts that its caption names."""

    half_precision = True
    concepts: Tensor
    """(K,), the token ids of the concepts."""

    def __init__(self, predictor: ConceptPredictor, concepts: list[int]):
        super().__init__()
        self.predictor = predictor
        self.register_buffer("concepts", torch.tensor(concepts))

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        batch = comparison.batch
        logits = self.predictor(batch.regions, batch.region_mask)
        named = (batch.tokens[:, :, None] == self.concepts).any(1).to(logits)
        return binary_cross_entropy_with_logits(logits, named, reduction="sum") / len(logits)


class ConceptImage(nn.Module):
    """The image encoder: a gate mixes the concepts and the global context of a picture."""

    def __init__(self, predictor: ConceptPredictor, feature_size: int, embed_size: int, concepts: int):
        super().__init__()
        self.predictor = predictor
        self.concepts = project(concepts, embed_size)
        self.context = project(feature_size, embed_size)
        self.gate_concepts = nn.Linear(concepts, embed_size)
        self.gate_context = nn.Linear(feature_size, embed_size, bias=False)

    def forward(self, regions: Float[Tensor, "B R F"], mask: Bool[Tensor, "B R"]) -> Encoded:
        concepts = self.predictor(regions, mask).sigmoid().detach()  # the labels alone train the predictor
        context = masked_mean(regions, mask)
        gate = (self.gate_concepts(concepts) + self.gate_context(context)).sigmoid()
        return whole(l2norm(gate * l2norm(self.concepts(concepts)) + (1 - gate) * l2norm(self.context(context))))


class SentenceLSTM(nn.Module):
    """The text encoder: the states of an LSTM are the words, and its state at `<end>` is the sentence."""

    def __init__(self, vocabulary_size: int, word_size: int, embed_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, word_size)
        self.lstm = nn.LSTM(word_size, embed_size, batch_first=True)

    def forward(self, tokens: Int[Tensor, "B W"], mask: Bool[Tensor, "B W"]) -> Encoded:
        words, sentence = read(self.lstm, self.embedding(tokens), mask)
        return Encoded(l2norm(sentence), l2norm(words) * mask[:, :, None], mask)


class SentenceGenerator(Loss):
    """The negative log-likelihood of a caption. An LSTM sees v, then the true words, and predicts each next word.

    Raises:
        ValueError: the hidden size is below 1.
    """

    half_precision = True

    def __init__(self, vocabulary_size: int, word_size: int, embed_size: int, hidden_size: int):
        super().__init__()
        if hidden_size < 1:
            expected = "the size of the sentence generator's state, at least 1"
            raise ValueError(f"caption is {hidden_size}; expected {expected}")
        self.first = nn.Linear(embed_size, word_size)
        self.embedding = nn.Embedding(vocabulary_size, word_size)
        self.lstm = nn.LSTM(word_size, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, vocabulary_size)

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        batch = comparison.batch
        image = self.first(comparison.images.pooled)[:, None]
        states, _ = in_full_precision(self.lstm, torch.cat([image, self.embedding(batch.tokens[:, :-1])], 1))
        asked = batch.token_mask[:, 1:]
        logits, targets = self.output(states[:, 1:][asked]), batch.tokens[:, 1:][asked]
        return cross_entropy(logits, targets, reduction="sum") / len(batch.tokens)


@dataclass(frozen=True, kw_only=True)
class SCO(System):
    """The system: global alignment of concepts and their context, with sentence generation."""

    margin: float = 0.2

    published_sizes: ClassVar[Sizes] = Sizes(embed=1024, word=300, caption=1024, layers=0)
    published_training: ClassVar[Training] = Training(epochs=30, decay_every=15)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        concepts = concepts_of(tokenizer)
        predictor = ConceptPredictor(feature_size, sizes.embed, len(concepts))
        return Matcher(
            tokenizer,
            images=ConceptImage(predictor, feature_size, sizes.embed, len(concepts)),
            texts=SentenceLSTM(len(tokenizer), sizes.word, sizes.embed),
            similarity=cosine,
            losses={
                "ranking": Hinge(cosine, self.margin),
                "concepts": ConceptLoss(predictor, concepts),
                "caption": SentenceGenerator(len(tokenizer), sizes.word, sizes.embed, sizes.caption),
            },
        )
