"""Figures of results, models and data, and the numbers that they show."""

from vsrpp_lite.show.alt import describe, inline
from vsrpp_lite.show.attention import affinities, affinity, attention, attention_weights, busiest, rarest
from vsrpp_lite.show.figures import (
    MEASURED,
    MOVES,
    PAPER,
    claims,
    curves,
    history,
    mu_effects,
    mu_sweep,
    study,
    table,
    title,
)
from vsrpp_lite.show.pictures import boxes, gallery, image_query, picture, retrieval, text_query

__all__ = [
    "MEASURED",
    "MOVES",
    "PAPER",
    "affinities",
    "affinity",
    "attention",
    "attention_weights",
    "boxes",
    "busiest",
    "claims",
    "curves",
    "describe",
    "gallery",
    "history",
    "image_query",
    "inline",
    "mu_effects",
    "mu_sweep",
    "picture",
    "rarest",
    "retrieval",
    "study",
    "table",
    "text_query",
    "title",
]
