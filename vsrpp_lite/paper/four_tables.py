"""The paper's four tables: the systems that we train for each row, and what the published numbers claim."""

from vsrpp_lite.matcher import System
from vsrpp_lite.paper.published import BRANCH_NOTES, COCO, FLICKR30K, STRUCTURE, SYSTEM_NOTES, WEIGHTS_OF_LOCAL
from vsrpp_lite.paper.tables import Claim, Table, ordering
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN, VARIANTS
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp

SYSTEMS: dict[str, System] = {
    "VSE++": VSEpp(),
    "SCO-style": SCO(),
    "SCAN": SCAN(),
    "GVSE-style": GVSE(),
    "SAEM": SAEM(),
    "VSRN": VSRN(),
    "VSR++": VSRpp(),
}
"""The seven systems, by the names of Tables 3 and 4."""

MUS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""The published weights of the local similarity."""

RESCALED: dict[str, System] = {
    f"mu = {mu}": VSRpp(mu=mu, margin=0.2 if mu == 2 else 0.2 * (1 + mu) / 3) for mu in (0.5, 1.0, 2.0, 3.0)
}
"""Four rows of Table 2 with the effective margin, alpha / (1 + mu), held at that of mu = 2."""

TABLE1 = Table(
    name="table1",
    notebook="table1_structure",
    rows={
        "Global": VSRN(),
        "Local": SCAN(),
        "Fusion-loss": VSRpp(fusion="loss"),
        "Fusion-similarity": VSRpp(caption_loss=False),
        "VSR++ (GRU)": VSRpp(bidirectional=False),
        "VSR++ (full)": VSRpp(),
    },
    published=STRUCTURE,
    claims=(
        Claim("fusion of similarities beats the global branch alone", "Fusion-similarity", "Global"),
        Claim("fusion of similarities beats the local branch alone", "Fusion-similarity", "Local"),
        Claim("fusion of similarities beats fusion at the loss", "Fusion-similarity", "Fusion-loss"),
        Claim(
            "the full model, with caption loss, beats fusion of similarities without",
            "VSR++ (full)",
            "Fusion-similarity",
        ),
        Claim("the Bi-GRU beats the one-directional GRU", "VSR++ (full)", "VSR++ (GRU)"),
    ),
    notes=BRANCH_NOTES,
    averaged=tuple(BRANCH_NOTES),
)

TABLE2 = Table(
    name="table2",
    notebook="table2_mu",
    rows={f"mu = {mu}": VSRpp(mu=mu) for mu in MUS},
    published=WEIGHTS_OF_LOCAL,
    claims=(
        Claim("the best mu is interior: mu = 2 beats the smallest", "mu = 2.0", "mu = 0.5"),
        Claim("the best mu is interior: mu = 2 beats the largest", "mu = 2.0", "mu = 3.0"),
        Claim("text retrieval gains from more mu than image retrieval does", "mu = 3.0", "mu = 0.5", "i2t - t2i"),
    ),
    further=RESCALED,
)

TABLE3 = Table(
    name="table3",
    notebook="table3_coco",
    rows=SYSTEMS,
    published=COCO,
    claims=tuple(ordering(COCO)),
    notes=SYSTEM_NOTES,
    averaged=tuple(SYSTEMS),
    folds=5,
    second_data=True,
)

TABLE4 = Table(
    name="table4",
    notebook="table4_flickr30k",
    rows=SYSTEMS,
    published=FLICKR30K,
    claims=tuple(ordering(FLICKR30K)),
    notes=SYSTEM_NOTES,
    averaged=tuple(SYSTEMS),
    further=VARIANTS,
    slides=("06_visual_analysis",),
)

TABLES = (TABLE1, TABLE2, TABLE3, TABLE4)
