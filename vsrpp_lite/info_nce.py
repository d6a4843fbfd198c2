"""InfoNCE, the loss of CLIP: a softmax tells every pair from all wrong pairs of the batch.

    L = - log  exp(s_ii / tau) / sum_j exp(s_ij / tau)        averaged over both directions

The name and the form come from van den Oord et al. (2018, eq. 4). The symmetry of images and texts and the learned
temperature tau come from Radford et al. (ICML 2021, section 2.3 and figure 3). We leave other captions of the same
image out of the sum; CLIP would count them as wrong.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsrpp_lite.matcher import Comparison, Loss, Similarity

LARGEST_INVERSE_TEMPERATURE = 100.0
"""The limit of 1 / tau. CLIP has the same limit, for stability."""


def info_nce(
    scores: Float[Tensor, "Q C"],
    positives: Int[Tensor, " Q"],
    negatives: Bool[Tensor, "Q C"],
    inverse_temperature: float | Float[Tensor, ""],
) -> Float[Tensor, " Q"]:
    """Return the loss of each query: minus the log of its own partner's share in the softmax.

    The softmax is over the partner and the negatives.

    Args:
        scores: similarity of every query (row) and every candidate (column).
        positives: the column of each query's own partner.
        negatives: true where a candidate is wrong.
        inverse_temperature: 1 / tau; if it is large, the hardest negative outweighs all others.
    """
    logits = inverse_temperature * scores
    own = logits.gather(1, positives[:, None])
    others = logits.masked_fill(~negatives, -torch.inf)
    return torch.cat([own, others], 1).logsumexp(1) - own[:, 0]


class InfoNCE(Loss):
    """InfoNCE over a batch, in both directions, with a learned temperature.

    Args:
        similarity: the similarity to train, such as `cosine`. If it is a module, its parameters are trained too.
        temperature: tau at the start. CLIP begins with 0.07.

    Raises:
        ValueError: the temperature is below 0.01, which is its limit in training, or it is infinite.
    """

    def __init__(self, similarity: Similarity, temperature: float = 0.07):
        super().__init__()
        smallest = 1 / LARGEST_INVERSE_TEMPERATURE
        if not smallest <= temperature < math.inf:
            wanted = f"a finite number of at least {smallest:g}, its limit in training"
            raise ValueError(f"temperature is {temperature}; expected {wanted}")
        self.similarity = similarity
        self.log_inverse_temperature = nn.Parameter(torch.tensor(-math.log(temperature)))

    @property
    def inverse_temperature(self) -> Float[Tensor, ""]:
        """Return 1 / tau."""
        return self.log_inverse_temperature.exp()

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        # limit the parameter itself, as CLIP does: so it always has a gradient, and it can fall again below the limit
        with torch.no_grad():
            self.log_inverse_temperature.clamp_(max=math.log(LARGEST_INVERSE_TEMPERATURE))
        rows, columns = comparison.scores(self.similarity)
        allowed = comparison.positives, comparison.negatives, self.inverse_temperature
        return (info_nce(rows, *allowed) + info_nce(columns.T, *allowed)).mean() / 2
