"""Search among many images, or captions, in two stages. It needs the extra `vsrpp_lite[search]`.

    index = vl.Index(matcher, dataset)
    index.search("a white horse left of a brown car")

The full similarity of VSR++ looks at every region and every word, so it must be computed for each pair. Its global part
is the inner product of two vectors, and libraries such as faiss find the largest inner products quickly. So the global
part proposes candidates, and the matcher's own similarity orders them. It proposes well only if a loss trains it alone,
as in VSRN. The hinge of VSR++ is on the sum of both parts, so many right answers are not among a hundred candidates of
its global part; lesson 11 shows it. Another matcher may propose them.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file

from vsrpp_lite.data.arrays import open_array
from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.document import read_json
from vsrpp_lite.data.lines import read_lines
from vsrpp_lite.data.text import check_sentence
from vsrpp_lite.extras import extra
from vsrpp_lite.matcher import Encoded, Matcher, evaluating
from vsrpp_lite.sealed_folder import SealedFolder, new_sealed_folder

if TYPE_CHECKING:
    import faiss

ENCODINGS, ENTRIES, NAMES = "encodings.safetensors", "entries.json", "names.txt"
"""The files of an index. They hold the vectors of its entries, what was indexed, and the name of each entry on a line.
A name is an id or a caption, and has no line break."""
Side = Literal["images", "captions"]


class Found(NamedTuple):
    """One answer of a search."""

    position: int
    """Position of the image, or of the caption, in its split."""
    name: str
    """Id of the image, or the caption itself."""
    score: float
    """The matcher's own similarity."""


class Index:
    """The encoded images, or captions, of a split, and a faiss index of their global vectors.

    Args:
        matcher: a trained matcher.
        dataset: the split to search.
        of: what to search: "images" for sentences, or "captions" for images.
        kind: a string of faiss's index factory: "Flat" compares the query with every vector; "HNSW32" and
            "IVF1024,Flat" are faster and may miss some.
        proposer: the matcher whose global vectors propose the candidates; by default it is `matcher` itself. If no loss
            of `matcher` compares its global vectors alone, as in SCAN and in VSR++, they propose badly. Then take
            another proposer, or as many candidates as there are entries.

    Raises:
        ImportError: faiss is not installed.
        ValueError: `of` is neither of the two words, or faiss cannot make an index of this `kind` for the split.
    """

    def __init__(
        self,
        matcher: Matcher,
        dataset: Dataset,
        *,
        of: Side = "images",
        kind: str = "Flat",
        proposer: Matcher | None = None,
    ):
        if of not in ("images", "captions"):
            raise ValueError(f"of is {of!r}; expected images or captions")

        def encode(by: Matcher) -> Encoded:
            encoded = by.encode_images(dataset) if of == "images" else by.encode_texts(dataset.captions)
            return encoded.map(torch.Tensor.cpu)

        encoded = encode(matcher)
        proposed = encoded.pooled if proposer is None else encode(proposer).pooled
        names = [str(number) for number in dataset.image_ids] if of == "images" else dataset.captions
        self._fill(matcher, proposer or matcher, encoded, proposed, names, of, kind, dataset.feature_size)

    def _fill(
        self,
        matcher: Matcher,
        proposer: Matcher,
        encoded: Encoded,
        proposed: Float[torch.Tensor, "N D"],
        names: list[str],
        of: Side,
        kind: str,
        feature_size: int,
    ) -> None:
        self.matcher, self.proposer, self.encoded, self.proposed = matcher, proposer, encoded, proposed
        self.names, self.of, self.kind, self.feature_size = names, of, kind, feature_size
        self.nearest = nearest_index(proposed.numpy(), kind)

    def __len__(self) -> int:
        return len(self.names)

    def search(self, query: str | Float[np.ndarray, "R F"], count: int = 10, *, candidates: int = 100) -> list[Found]:
        """Return the best answers, the best first.

        Args:
            query: a sentence, if images are searched; else the regions of an image.
            count: number of answers.
            candidates: number of entries that the global vectors choose, whose full similarity is computed. With
                `len(index)` or more, a Flat index misses nothing. Another kind may miss entries at any number; its own
                settings, such as `index.nearest.nprobe`, decide how many.

        Raises:
            ValueError: the query is of the other kind; it has no word, or its regions are not finite or have another
                form than those of the split; or a number is not positive.
        """
        if count < 1 or candidates < 1:
            raise ValueError(f"count is {count} and candidates is {candidates}; expected numbers of at least 1")
        asked = self._encode(query, self.matcher)
        proposing = asked if self.proposer is self.matcher else self._encode(query, self.proposer)
        chosen = self.candidates(proposing.pooled.numpy(force=True), max(count, candidates))[0]
        chosen = chosen[chosen >= 0]  # faiss fills up with -1 where it found fewer
        if not len(chosen):
            return []
        scores = self._scores(asked, chosen)
        order = np.argsort(-scores, kind="stable")[:count]
        return [Found(int(chosen[k]), self.names[chosen[k]], float(scores[k])) for k in order]

    def candidates(self, queries: Float[np.ndarray, "Q D"], count: int) -> Int[np.ndarray, "Q K"]:
        """Return the entries with the largest inner products with each query, the largest first."""
        return self.nearest.search(np.ascontiguousarray(queries, dtype=np.float32), min(count, len(self)))[1]

    def _encode(self, query: str | Float[np.ndarray, "R F"], by: Matcher) -> Encoded:
        if isinstance(query, str) != (self.of == "images"):
            asks = "a sentence" if self.of == "images" else "the regions of an image, an array (R, F)"
            raise ValueError(f"the query is a {type(query).__name__}; {self.of} are searched with {asks}")
        if isinstance(query, str):
            check_sentence(query)
            return by.encode_texts(query)
        array = np.array(query, dtype=np.float32)
        if array.ndim != 2 or not len(array) or array.shape[1] != self.feature_size:
            expected = f"regions (R, {self.feature_size}), at least one"
            raise ValueError(f"the query has shape {array.shape}; expected {expected}")
        if not np.isfinite(array).all():
            raise ValueError("the query has NaN or infinity; expected finite numbers")
        regions = torch.from_numpy(array)[None].to(by.device)
        with torch.no_grad(), evaluating(by):
            return by.images(regions, torch.ones(regions.shape[:2], dtype=torch.bool, device=regions.device))

    def _scores(self, asked: Encoded, chosen: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
        """Return the full similarity of the query and the chosen entries."""
        entries = self.encoded.map(lambda x: x[torch.from_numpy(chosen)].to(self.matcher.device))
        images, texts = (entries, asked) if self.of == "images" else (asked, entries)
        with torch.no_grad(), evaluating(self.matcher):
            return self.matcher.similarity(images, texts).flatten().numpy(force=True)

    def save(self, folder: str | Path) -> Path:
        """Write the encodings to a new folder, without the matcher.

        Settings of the faiss index, such as `index.nearest.nprobe`, are not written. Set them again after `load`.

        Raises:
            FileExistsError: the folder exists and is not empty.
        """
        folder = Path(folder)
        made = {"matcher": matcher_digest(self.matcher), "proposer": matcher_digest(self.proposer)}
        about = {"of": self.of, "kind": self.kind, "feature_size": self.feature_size} | made
        tensors = self.encoded._asdict() | {"proposed": self.proposed.clone()}
        with new_sealed_folder(folder) as files:
            files.write_text(ENTRIES, json.dumps(about))
            files.write_text(NAMES, "".join(f"{name}\n" for name in self.names))
            with files.write(ENCODINGS) as encodings:
                save_file({name: x.contiguous() for name, x in tensors.items()}, encodings)
                files.let_others_read(encodings)
        return folder

    @classmethod
    def load(cls, folder: str | Path, matcher: Matcher, *, proposer: Matcher | None = None) -> "Index":
        """Read what `save` wrote.

        Args:
            matcher, proposer: the matchers that made the encodings.

        Raises:
            FileNotFoundError: the folder holds no index.
            DamagedError: a file is not the one that was written.
            ValueError: another matcher made the encodings.
        """
        folder = Path(folder)
        for name in (ENTRIES, NAMES, ENCODINGS):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name}: missing; expected a folder that Index.save wrote")
        SealedFolder(folder, remedy="Make the index again, or copy the folder again").check((ENTRIES, NAMES, ENCODINGS))
        about = read_json(folder / ENTRIES, "what is searched, and by which matchers")
        for role, given in (("matcher", matcher), ("proposer", proposer or matcher)):
            if about[role] != matcher_digest(given):
                raise ValueError(f"{folder}: another {role} made this index; expected that {role}, or a new index")
        tensors = load_file(folder / ENCODINGS)
        proposed, names = tensors.pop("proposed"), [name for _, name in read_lines(folder / NAMES)]
        index, described = cls.__new__(cls), (about["of"], about["kind"], about["feature_size"])
        index._fill(matcher, proposer or matcher, Encoded(**tensors), proposed, names, *described)
        return index


def regions_of(file: Path, dataset: Dataset) -> Float[np.ndarray, "R F"]:
    """Return the regions of an image to search captions for.

    Args:
        file: a picture of the data folder, such as images/test/2253.jpg; or a .npy file of regions (R, F), as a
            detector found them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture of this split, and no array of regions of F numbers.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: missing; expected a picture of {dataset.folder}, or a .npy file of regions")
    if file.suffix == ".npy":
        regions = open_array(file, ("float16", "float32", "float64"), 2)
        if regions.shape[1] != dataset.feature_size:
            raise ValueError(f"{file}: found an array {regions.shape}; expected (regions, {dataset.feature_size})")
        return regions
    known = {str(number): position for position, number in enumerate(dataset.image_ids)}
    position = known.get(file.stem)
    picture = None if position is None else dataset.picture(position)
    if position is None or picture is None or picture.resolve() != file.resolve():
        raise ValueError(f"{file}: expected a picture of {dataset.folder / 'images' / dataset.split}, or a .npy file")
    return dataset[position].regions


def nearest_index(vectors: Float[np.ndarray, "N D"], kind: str) -> "faiss.Index":
    """Return a faiss index of the vectors, for inner products.

    Raises:
        ImportError: faiss is not installed.
        ValueError: faiss has no such kind of index, or there are too few vectors for it.
    """
    with extra("search"):
        import faiss
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    try:
        index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
    except RuntimeError as error:
        expected = "a string of faiss's index factory that suits this many, such as Flat"
        raise ValueError(f"kind is {kind!r} for {len(vectors)} vectors; expected {expected}") from error
    return index


def matcher_digest(matcher: Matcher) -> str:
    """Return a sha256 of all that encodes: the weights, the words, and what modules keep beside their weights.

    It tells whether an index belongs to a matcher. The norm of V*, for example, has no weights, and changes encodings.
    """
    digest = hashlib.sha256(repr(getattr(matcher.tokenizer, "words", None)).encode())
    for name, module in sorted(matcher.named_modules()):
        kept = {key: value for key, value in vars(module).items() if isinstance(value, str | int | float | tuple)}
        kept.pop("training")
        digest.update(f"{name} {sorted(kept.items())}".encode())
    for name, weight in sorted(matcher.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
