"""`make bench SEARCH=1`: how long exact and approximate search take among up to a million vectors, and what they find.

It writes notebooks/recorded/search_curve.csv, which lesson 11 draws. The vectors are random: unit vectors of 128
numbers around a thousand centres, since pictures come in groups too. A query is a vector of the collection, moved a
little.
"""

import time

import faiss
import numpy as np
import pandas as pd

from vsrpp_lite.files import recorded_folder

EMBED, CENTRES, QUERIES, CANDIDATES = 128, 1000, 200, 100
SIZES = (1_000, 10_000, 100_000, 1_000_000)
KINDS = {
    "exact": ("Flat", "", ()),
    "IVF": ("IVF{cells},Flat", "nprobe", (1, 8, 32)),
    "HNSW": ("HNSW16", "efSearch", (100, 400)),
}
"""Name, string of faiss's index factory, and the setting that trades time for recall, with its values."""


def vectors(size: int, generator: np.random.Generator) -> np.ndarray:
    """Return unit vectors (size, EMBED) around random centres."""
    centres = generator.normal(size=(CENTRES, EMBED)).astype(np.float32)
    found = centres[generator.integers(CENTRES, size=size)]
    found += 0.7 * generator.standard_normal((size, EMBED), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def main() -> None:
    faiss.omp_set_num_threads(1)
    lines = []
    for size in SIZES:
        generator = np.random.default_rng(size)
        all_vectors = vectors(size, generator)
        queries = all_vectors[generator.integers(size, size=QUERIES)]
        queries = queries + 0.3 * generator.standard_normal((QUERIES, EMBED), dtype=np.float32) / np.sqrt(EMBED)
        best = None
        for name, (kind, setting, values) in KINDS.items():
            began = time.perf_counter()
            index = faiss.index_factory(EMBED, kind.format(cells=int(4 * size**0.5)), faiss.METRIC_INNER_PRODUCT)
            index.train(all_vectors)
            index.add(all_vectors)
            built = time.perf_counter() - began
            for value in values or ("",):
                if setting:
                    faiss.ParameterSpace().set_index_parameter(index, setting, value)
                began = time.perf_counter()
                _, found = index.search(queries, CANDIDATES)
                each = (time.perf_counter() - began) / QUERIES
                best = found if best is None else best
                kept = np.mean([np.isin(b, f).mean() for b, f in zip(best, found, strict=True)])
                lines.append(
                    {"vectors": size, "index": name, "setting": f"{setting} {value}".strip()}
                    | {"ms_per_query": round(1000 * each, 4), "found_of_100": round(100 * kept, 2)}
                    | {"seconds_to_build": round(built, 2)}
                )
                print(lines[-1], flush=True)
    pd.DataFrame(lines).to_csv(recorded_folder() / "search_curve.csv", index=False)


if __name__ == "__main__":
    main()
