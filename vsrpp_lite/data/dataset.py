"""A split of a data set in memory, and the batches of an epoch. `precomp` describes the format on disk."""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar, cast, overload

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

T = TypeVar("T")

WINDOW = 4
"""Number of batches whose captions are sorted by length together; see `similar_lengths`."""


class Batch(NamedTuple):
    """B image-sentence pairs, on the training device."""

    regions: Float[Tensor, "B R F"]
    region_mask: Bool[Tensor, "B R"]
    tokens: Int[Tensor, "B W"]
    token_mask: Bool[Tensor, "B W"]
    image_positions: Int[Tensor, " B"]
    """Position of each pair's image in the split: equal for two captions of one image."""
    positives: Int[Tensor, " B"]
    """Position of each pair in the batch that all processes share: 0 ... B - 1 for a single process."""


class Example(NamedTuple):
    """One image of a split with its captions."""

    image_id: int
    regions: Float[np.ndarray, "_ F"]
    """Features of the regions that exist, float32."""
    boxes: Float[np.ndarray, "_ 4"] | None
    """Relative corners (left, top, right, bottom); None if the folder has no boxes."""
    captions: list[str]
    picture: Path | None
    """Path of the picture; None if the folder has no pictures."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """I images and T captions of one split.

    `dataset[3]` is one `Example`, and iteration gives all of them. `dataset[:8]` and `dataset[array]` are smaller data
    sets, which hold the chosen images with their captions.
    """

    folder: Path
    split: str
    features: np.ndarray
    """(rows, R, F) region features, memory-mapped."""
    rows: np.ndarray
    """(I,) the row of `features` that holds each image."""
    mask: np.ndarray
    """(I, R) bool, true where a region exists."""
    boxes: np.ndarray | None
    """(I, R, 4) relative corners; None if the folder has no boxes."""
    image_ids: np.ndarray
    """(I,) the ids of the images in the folder's files."""
    captions: list[str]
    caption_to_image: np.ndarray
    """(T,) position in 0 ... I - 1 of the image that each caption belongs to."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Example]:
        return (self[image] for image in range(len(self)))

    @overload
    def __getitem__(self, images: int) -> Example: ...
    @overload
    def __getitem__(self, images: slice | np.ndarray) -> "Dataset": ...
    def __getitem__(self, images: int | slice | np.ndarray) -> "Example | Dataset":
        if isinstance(images, (int, np.integer)):
            return self._example(int(images))
        chosen = np.arange(len(self))[images]
        if len(set(chosen.tolist())) < len(chosen):
            raise ValueError(f"{len(chosen)} positions, of which some are equal; expected each image once")
        position = np.full(len(self), -1)
        position[chosen] = np.arange(len(chosen))
        kept = np.flatnonzero(position[self.caption_to_image] >= 0)
        return replace(
            self,
            rows=self.rows[chosen],
            mask=self.mask[chosen],
            boxes=None if self.boxes is None else self.boxes[chosen],
            image_ids=self.image_ids[chosen],
            captions=[self.captions[k] for k in kept],
            caption_to_image=position[self.caption_to_image[kept]],
        )

    def _position(self, image: int) -> int:
        """Return a position from 0, for one that may count from the end."""
        if not -len(self) <= image < len(self):
            raise IndexError(f"image {image} of {self.folder}/{self.split}; it has {len(self)} images")
        return image % len(self)

    def _example(self, image: int) -> Example:
        image = self._position(image)
        exists = self.mask[image]
        return Example(
            image_id=int(self.image_ids[image]),
            regions=self.features[self.rows[image]][exists].astype(np.float32),
            boxes=None if self.boxes is None else np.asarray(self.boxes[image][exists], dtype=np.float32),
            captions=self.captions_of(image),
            picture=self.picture(image),
        )

    @property
    def feature_size(self) -> int:
        """Return F, the number of features per region."""
        return int(self.features.shape[2])

    @cached_property
    def tensor(self) -> Tensor:
        """Return `features` as a tensor (rows, R, F) over the same memory map. It must not be written."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(self.features)

    def regions(self, images: np.ndarray, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Return features (B, R, F) in float32 and mask (B, R) of the images at these positions."""
        features = self.tensor[torch.from_numpy(self.rows[images])]
        return features.to(device).float(), torch.from_numpy(self.mask[images]).to(device)

    def picture(self, image: int) -> Path | None:
        """Return the path of the picture of the image at this position, or None if the folder has no such file."""
        path = self.folder / "images" / self.split / f"{self.image_ids[image]}.jpg"
        return path if path.exists() else None

    def captions_of(self, image: int) -> list[str]:
        """Return the captions of the image at this position.

        Raises:
            IndexError: there is no such image.
        """
        return [self.captions[k] for k in np.flatnonzero(self.caption_to_image == self._position(image))]


def check_batch(dataset: Dataset, size: int) -> None:
    """Raise ValueError if a batch of `size` pairs is larger than the split."""
    if len(dataset.captions) < size:
        raise ValueError(f"{dataset.folder}/{dataset.split}: {len(dataset.captions)} captions, batch size {size}")


def batches(
    dataset: Dataset,
    tokens: list[np.ndarray],
    size: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    world: int = 1,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Yield the batches of one pass over all captions, each with its image. (seed, epoch) fixes their order.

    Every process cuts the same global batches of `size` pairs and takes its own share of each. We leave out an
    incomplete last batch, since it holds few negatives. Texts are padded to the longest of the *global* batch, so that
    all processes see one width.

    Args:
        tokens: T arrays of token ids, one for each caption.
        rank, world: the number of this process, from 0, and the number of processes.

    Raises:
        ValueError: `size` is not a multiple of `world`, or is larger than the split.
    """
    if size % world:
        raise ValueError(f"a batch of {size} pairs does not divide among {world} processes")
    check_batch(dataset, size)
    share = size // world
    positives = torch.arange(rank * share, (rank + 1) * share, device=device)
    for whole in similar_lengths(np.array([len(ids) for ids in tokens]), size, seed=seed, epoch=epoch):
        width = max(len(tokens[k]) for k in whole)
        mine = whole[rank * share : (rank + 1) * share]
        images = dataset.caption_to_image[mine]
        regions, region_mask = dataset.regions(images, device)
        padded, mask = pad([tokens[k] for k in mine], width)
        image_positions = torch.from_numpy(images).to(device)
        yield Batch(regions, region_mask, padded.to(device), mask.to(device), image_positions, positives)


def similar_lengths(
    lengths: Int[np.ndarray, " T"], size: int, *, seed: int, epoch: int, window: int = WINDOW
) -> Int[np.ndarray, "N B"]:
    """Return the captions of each batch of one pass, in a random order that (seed, epoch) fixes.

    Captions are shuffled, then sorted by length within windows of `window` batches, and the batches are shuffled again.
    So a batch needs little padding, and every pass has other batches. An incomplete last batch is left out.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    whole = order[: len(order) // size * size]
    windows = [whole[k : k + window * size] for k in range(0, len(whole), window * size)]
    by_length = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in windows])
    return generator.permutation(by_length.reshape(-1, size))


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """Yield the items of an iterator in their order. A thread makes the next one while the caller uses the last.

    So a training step and the reading of the next batch from the disk overlap.
    """
    items, end = iter(items), object()
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = reader.submit(next, items, end)
            yield cast(T, item)


def pad(tokens: list[np.ndarray], width: int | None = None) -> tuple[Int[Tensor, "B W"], Bool[Tensor, "B W"]]:
    """Pad token ids with 0 to one length. Return them with a mask, which is true where there is a token."""
    lengths = torch.tensor([len(t) for t in tokens])
    width = width or int(lengths.max())
    mask = torch.arange(width) < lengths[:, None]
    padded = torch.zeros(len(tokens), width, dtype=torch.long)
    padded[mask] = torch.from_numpy(np.concatenate(tokens).astype(np.int64))
    return padded, mask
