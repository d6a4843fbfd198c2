"""VSR++ and the systems it is compared with, to teach, reproduce and extend image-text matching.

import vsrpp_lite as vl

run    = vl.Run(system=vl.VSRpp(mu=2.0), data="scenes", preset="lite", seed=0)
result = run.fit()                      # trains once; the second call reads the run folder
result.recalls                          # text and image retrieval at 1, 5, 10, mR, rsum
matcher, test = result.matcher(), run.dataset("test")
images, texts = matcher.encode(test[:8])          # Encoded, Encoded
vl.show.retrieval(matcher, test, "a red dog left of a small blue car")
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data import Dataset
from vsrpp_lite.evaluate import ensemble, ranks, recalls, score
from vsrpp_lite.gcn_reasoning import GCNReasoning, RegionGraph
from vsrpp_lite.global_alignment import SentenceGRU, cosine, hinge
from vsrpp_lite.local_attention import attention_map, cross_attention
from vsrpp_lite.matcher import Encoded, Matcher, Sizes
from vsrpp_lite.precomp import DataError, open_split, write_dataset
from vsrpp_lite.results import Result
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.text import Vocabulary, tokenize
from vsrpp_lite.train import Training

if TYPE_CHECKING:
    from vsrpp_lite import show

__all__ = [
    "GVSE",
    "SAEM",
    "SCAN",
    "SCO",
    "VSRN",
    "CaptionDecoder",
    "DataError",
    "Dataset",
    "Encoded",
    "GCNReasoning",
    "Matcher",
    "RegionGraph",
    "Result",
    "Run",
    "SentenceGRU",
    "Sizes",
    "Training",
    "VSEpp",
    "VSRpp",
    "Vocabulary",
    "attention_map",
    "cosine",
    "cross_attention",
    "ensemble",
    "hinge",
    "open_split",
    "ranks",
    "recalls",
    "score",
    "show",
    "tokenize",
    "write_dataset",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """`vl.show`, when it is first asked for: seaborn takes a second to import, which a training does not need."""
    if name == "show":
        return import_module("vsrpp_lite.show")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
