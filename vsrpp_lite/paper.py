"""The published tables and claims, as data. Source: the slides of VSR++ (ICPR 2020), quoted as printed there.

Recalls are at 1, 5, 10, text retrieval (an image asks) and then image retrieval (a sentence asks), in percent.
"""

from typing import NamedTuple

RECALLS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10")

PUBLISHED: dict[int, dict[str, tuple[float, ...]]] = {
    # Table 1, Flickr30K: what each part of the structure is worth
    1: {
        "Global": (71.3, 90.6, 96.0, 54.7, 81.8, 88.2),
        "Local": (67.4, 90.3, 95.8, 48.6, 77.7, 85.2),
        "Fusion-loss": (71.5, 90.6, 95.8, 55.1, 82.0, 88.2),
        "Fusion-similarity": (72.2, 92.5, 97.0, 56.1, 82.3, 89.0),
        "VSR++ (GRU)": (72.0, 92.1, 96.5, 55.6, 82.0, 88.5),
        "VSR++ (full)": (72.6, 92.7, 97.2, 56.3, 82.7, 89.0),
    },
}

ENSEMBLES = {
    1: {
        "Global": "published as the average of two VSRN models",
        "Local": "published as the average of two SCAN models, t2i AVG and i2t LSE",
    },
}
"""Rows that are no runs of the ablation: digit for digit another paper's, and an average of two models there."""


class Claim(NamedTuple):
    """That one row beats another."""

    claim: str
    table: int
    better: str
    worse: str
    metric: str = "rsum"


CLAIMS = (
    Claim("fusion of similarities beats the global branch alone", 1, "Fusion-similarity", "Global"),
    Claim("fusion of similarities beats the local branch alone", 1, "Fusion-similarity", "Local"),
    Claim("fusion of similarities beats fusion at the loss", 1, "Fusion-similarity", "Fusion-loss"),
    Claim(
        "the full model, with caption loss, beats fusion of similarities without",
        1,
        "VSR++ (full)",
        "Fusion-similarity",
    ),
    Claim("the Bi-GRU beats the one-directional GRU", 1, "VSR++ (full)", "VSR++ (GRU)"),
)


def published(table: int, row: str) -> dict[str, float]:
    """The eight metrics of a published row; mR and rsum are computed from its six recalls."""
    recalls = PUBLISHED[table][row]
    rsum = round(sum(recalls), 1)
    return dict(zip(RECALLS, recalls, strict=True)) | {"mR": round(rsum / 6, 2), "rsum": rsum}
