"""VSR++ and the systems it is compared with, to teach, reproduce and extend image-text matching.

import vsrpp_lite as vl

run    = vl.tuned(vl.VSRpp(mu=2.0), data="scenes", preset="lite", seed=0)
result = run.fit()                      # trains once; the second call reads the run folder
result.recalls                          # recalls at 1, 5, 10, of text and of image retrieval; mR, rsum
matcher, test = result.matcher(), run.dataset("test")
images, texts = matcher.encode(test[:8])          # Encoded, Encoded
vl.show.retrieval(matcher, test, "a white horse left of a brown car")
"""

from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.scenes.truth import truth
from vsrpp_lite.data.text import Tokenizer, Vocabulary, WordPieces, tokenize
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.gcn_reasoning import GCNReasoning, RegionGraph
from vsrpp_lite.global_alignment import Hinge, SentenceGRU, cosine, hinge
from vsrpp_lite.info_nce import InfoNCE
from vsrpp_lite.local_attention import attention_map, cross_attention
from vsrpp_lite.matcher import Comparison, Encoded, Loss, Matcher, System
from vsrpp_lite.paper import tables
from vsrpp_lite.paper.tuned import tuned
from vsrpp_lite.sealed_folder import DamagedError
from vsrpp_lite.search import Index
from vsrpp_lite.settings import Sizes, Training
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.grid import GridError
from vsrpp_lite.training.metrics import ranks, recalls, score
from vsrpp_lite.training.models import load
from vsrpp_lite.training.runs import Result, Run

if TYPE_CHECKING:
    from vsrpp_lite import show

__all__ = [
    "GVSE",
    "SAEM",
    "SCAN",
    "SCO",
    "VSRN",
    "CaptionDecoder",
    "Comparison",
    "DamagedError",
    "DataError",
    "Dataset",
    "Encoded",
    "GCNReasoning",
    "GridError",
    "Hinge",
    "Index",
    "InfoNCE",
    "Loss",
    "Matcher",
    "RawSplit",
    "RegionGraph",
    "Result",
    "Run",
    "SentenceGRU",
    "Sizes",
    "System",
    "Tokenizer",
    "Training",
    "VSEpp",
    "VSRpp",
    "Vocabulary",
    "WordPieces",
    "attention_map",
    "cosine",
    "cross_attention",
    "grid",
    "hinge",
    "load",
    "open_split",
    "ranks",
    "recalls",
    "score",
    "show",
    "tables",
    "tokenize",
    "truth",
    "tuned",
    "write_dataset",
]
__version__ = version("vsrpp_lite")


def __getattr__(name: str) -> ModuleType:
    """Import `vl.show` at its first use, since seaborn takes a second and a training does not need it."""
    if name == "show":
        return import_module("vsrpp_lite.show")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Offer the public names to completion, `vl.show` too."""
    return [*__all__, "__version__"]
