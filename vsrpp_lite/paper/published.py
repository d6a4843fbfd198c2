"""The published numbers, as data. They come from the slides of VSR++ (ICPR 2020) and stand here as printed there.

All recalls are at 1, 5, 10, of text (an image asks) then of image retrieval (a sentence asks), in percent.
"""

from collections.abc import Mapping
from statistics import stdev

from vsrpp_lite.training.metrics import METRICS

Recalls = Mapping[str, tuple[float, float, float, float, float, float]]
"""Six recalls for each row of a table."""

STRUCTURE: Recalls = {
    "Global": (71.3, 90.6, 96.0, 54.7, 81.8, 88.2),
    "Local": (67.4, 90.3, 95.8, 48.6, 77.7, 85.2),
    "Fusion-loss": (71.5, 90.6, 95.8, 55.1, 82.0, 88.2),
    "Fusion-similarity": (72.2, 92.5, 97.0, 56.1, 82.3, 89.0),
    "VSR++ (GRU)": (72.0, 92.1, 96.5, 55.6, 82.0, 88.5),
    "VSR++ (full)": (72.6, 92.7, 97.2, 56.3, 82.7, 89.0),
}
"""Table 1, on Flickr30K: what each part of the structure is worth."""

WEIGHTS_OF_LOCAL: Recalls = {
    "mu = 0.5": (66.4, 89.1, 94.6, 53.9, 81.7, 88.2),
    "mu = 1.0": (69.3, 91.5, 96.1, 56.0, 82.6, 89.0),
    "mu = 1.5": (72.0, 92.2, 97.1, 56.1, 82.7, 89.0),
    "mu = 2.0": (72.6, 92.7, 97.2, 56.3, 82.7, 89.0),
    "mu = 2.5": (72.4, 93.0, 96.8, 54.9, 81.8, 88.8),
    "mu = 3.0": (72.1, 93.3, 96.7, 54.5, 81.4, 88.4),
}
"""Table 2, on Flickr30K: one model for each weight mu of the local similarity."""

COCO: Recalls = {
    "VSE++": (64.6, 89.1, 95.7, 52.0, 83.1, 92.0),
    "SCO-style": (69.9, 92.9, 97.5, 56.7, 87.5, 94.8),
    "SCAN": (72.7, 94.8, 98.4, 58.8, 88.4, 94.8),
    "GVSE-style": (72.2, 94.1, 98.1, 60.5, 89.4, 95.8),
    "SAEM": (71.2, 94.1, 97.7, 57.8, 88.6, 94.9),
    "VSRN": (76.2, 94.8, 98.2, 62.8, 89.7, 95.1),
    "VSR++": (76.6, 95.2, 98.2, 63.4, 90.6, 95.7),
}
"""Table 3, on MS-COCO: seven systems, the mean of five folds of 1,000 images."""

FLICKR30K: Recalls = {
    "VSE++": (52.9, 79.1, 87.2, 39.6, 69.6, 79.5),
    "SCO-style": (55.5, 82.0, 89.3, 41.1, 70.5, 80.1),
    "SCAN": (67.4, 90.3, 95.8, 48.6, 77.7, 85.2),
    "GVSE-style": (68.5, 90.9, 95.5, 50.6, 79.8, 87.6),
    "SAEM": (69.1, 91.0, 95.1, 52.4, 81.1, 88.1),
    "VSRN": (71.3, 90.6, 96.0, 54.7, 81.8, 88.2),
    "VSR++": (72.6, 92.7, 97.2, 56.3, 82.7, 89.0),
}
"""Table 4, on Flickr30K: seven systems."""

PRINTED_MR = {
    "table3": {"SCAN": 84.7, "SAEM": 84.0},
    "table4": {"SCO-style": 69.7, "SAEM": 79.4, "VSR++": 81.8},
}
"""The slides' mR, where it differs from the rounded mean of the six recalls. It lies within 0.1 of that mean."""

ELSEWHERE = {
    "table3": {"VSE++": (64.6, 90.0, 95.7, 52.0, 84.3, 92.0)},
    "table4": {"VSE++": (52.9, 80.5, 87.2, 39.6, 70.1, 79.5)},
}
"""Recalls of the same models in other papers: R@1 and R@10 are equal, and all R@5 are higher."""

SYSTEM_NOTES = {
    "SCAN": "published as the average of two SCAN models, t2i AVG and i2t LSE",
    "GVSE-style": "marked as an ensemble by a later survey; ours is written from a short description",
    "SCO-style": "ours is written from the paper's abstract",
    "SAEM": "published with a pretrained BERT; ours learns its words",
    "VSE++": "published with a fine-tuned ResNet152 on whole pictures, not on regions",
    "VSRN": "published as the average of two VSRN models",
}
"""What a reader must know about a row of Tables 3 and 4 before comparing it with another row."""

BRANCH_NOTES = {
    "Global": "published as the average of two VSRN models",
    "Local": "published as the average of two SCAN models, t2i AVG and i2t LSE",
}
"""What a reader must know about a row of Table 1 before comparing it with another row."""

PUBLISHED_AS = {
    **dict.fromkeys(("VSE++", "SAEM"), "one model"),
    **dict.fromkeys(("SCAN", "VSRN"), "two models"),
    "GVSE-style": "an ensemble, by a survey",
    **dict.fromkeys(("SCO-style", "VSR++"), "not known"),
}
"""How many models each row of Tables 3 and 4 averages."""

SINGLE_SCAN = {
    "t2i LSE": (61.1, 85.4, 91.5, 43.3, 71.9, 80.9),
    "t2i AVG": (61.8, 87.5, 93.7, 45.8, 74.4, 83.0),
    "i2t LSE": (67.7, 88.9, 94.0, 44.0, 74.2, 82.6),
    "i2t AVG": (67.9, 89.0, 94.4, 43.9, 74.2, 82.8),
}
"""SCAN's single models on Flickr30K, as reported in its own tables."""

SEED_RSUMS = {
    "VSE++": (361.4, 369.4, 362.8, 368.5, 365.1, 366.2, 367.0, 369.1, 368.5, 367.8),
    "SCAN": (448.8, 447.8, 447.2, 444.5, 443.8, 446.1, 447.3, 449.4, 449.8, 449.5),
    "SAEM": (478.9, 479.6, 474.8, 475.3, 477.9, 480.3, 479.1, 481.6, 477.4, 474.4),
    "SAEM with a BERT of random weights": (384.1, 386.5, 380.0, 384.0, 382.0, 384.1, 385.8, 384.8, 382.2, 384.9),
    "VSRN": (454.9, 458.7, 463.2, 459.6, 456.2, 458.3, 453.3, 472.6, 461.0, 458.0),
}
"""rsum of ten seeds on Flickr30K, summed from the recalls that Rao et al. (SIGIR 2022) publish beside their code. SCAN
is its variant in which regions ask and their mean counts (i2t AVG)."""

SEED_SPREAD = {name: round(stdev(rsums), 1) for name, rsums in SEED_RSUMS.items()}
"""Standard deviation of these rsums."""


def metrics_of(recalls: tuple[float, ...]) -> dict[str, float]:
    """Return the eight metrics of a published row. mR and rsum are computed from its six recalls."""
    rsum = round(sum(recalls), 1)
    return dict(zip(METRICS[:6], recalls, strict=True)) | {"mR": round(rsum / 6, 2), "rsum": rsum}
