"""Regions of pictures: boxes of a detector and of a fixed grid, and features averaged over each box.

A box is left, top, right, bottom, relative to the picture. Detectors and backbones are models of `transformers`, named
as on the Hugging Face hub or by a folder, or ONNX files, which onnxruntime runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.extras import extra

SURE = 0.3
"""Detections with a lower score are left out."""
OVERLAP = 0.6
"""Of two detections that overlap more than this (intersection over union), the one with the lower score is left out."""
SAMPLES = 7
"""A feature map is sampled at this number of points across and down each box."""


class Detector(Protocol):
    def __call__(self, pictures: Sequence[Image.Image]) -> list[np.ndarray]:
        """Return the boxes (k, 4) of each picture, the surest first."""


class Backbone(Protocol):
    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return a map of features (B, F, H, W) of each whole picture."""


def grid_boxes() -> np.ndarray:
    """Return 30 boxes that cover every picture: the whole, its halves, and 3 x 3 and 4 x 4 cells; (30, 4) float32."""
    halves = [(0, 0, 0.5, 1), (0.5, 0, 1, 1), (0, 0, 1, 0.5), (0, 0.5, 1, 1)]
    cells = [(x / n, y / n, (x + 1) / n, (y + 1) / n) for n in (3, 4) for y in range(n) for x in range(n)]
    return np.array([(0, 0, 1, 1), *halves, *cells], dtype=np.float32)


def region_features(maps: Tensor, boxes: Tensor) -> Tensor:
    """Average a feature map over boxes, by bilinear samples in the middle of SAMPLES x SAMPLES cells of each box.

    Args:
        maps: (B, F, H, W) features, whose cell centres lie at (i + 1/2) / H and (j + 1/2) / W.
        boxes: (B, R, 4) boxes.

    Returns:
        (B, R, F) features.
    """
    middles = (torch.arange(SAMPLES, dtype=maps.dtype, device=maps.device) + 0.5) / SAMPLES
    left, top, right, bottom = boxes.to(maps).unbind(-1)  # (B, R) each
    x = left[..., None] + (right - left)[..., None] * middles  # (B, R, SAMPLES)
    y = top[..., None] + (bottom - top)[..., None] * middles
    points = torch.stack(
        torch.broadcast_tensors(x[..., None, :], y[..., :, None]), dim=-1
    )  # (B, R, SAMPLES, SAMPLES, 2)
    sampled = nn.functional.grid_sample(
        maps, points.flatten(2, 3) * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False
    )  # (B, F, R, SAMPLES^2)
    return sampled.mean(-1).mT


def chosen_boxes(found: Sequence[np.ndarray], regions: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill up the boxes of a detector with those of the grid.

    Args:
        found: the boxes (k, 4) of each picture, the surest first.
        regions: the largest number R of boxes a picture.

    Returns:
        boxes (B, R, 4) float32, zero where there is none, and their number (B,).
    """
    boxes = np.zeros((len(found), regions, 4), dtype=np.float32)
    counts = np.zeros(len(found), dtype=np.int64)
    for k, detected in enumerate(found):
        own = np.concatenate([detected, grid_boxes()])[:regions]
        boxes[k, : len(own)], counts[k] = own, len(own)
    return boxes, counts


def surest(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return boxes in the order of their scores, without unsure, empty and doubled ones (non-maximum suppression)."""
    boxes = np.clip(boxes, 0, 1)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        if scores[k] < SURE or area[k] <= 0 or (boxes[k, :2] >= boxes[k, 2:]).any():
            continue
        corners = np.concatenate(
            [np.maximum(boxes[kept, :2], boxes[k, :2]), np.minimum(boxes[kept, 2:], boxes[k, 2:])], 1
        )
        shared = (corners[:, 2:] - corners[:, :2]).clip(0).prod(1)
        if (shared <= OVERLAP * (area[kept] + area[k] - shared)).all():
            kept.append(int(k))
    return boxes[kept].astype(np.float32)


class NoDetector:
    """The grid alone."""

    def __call__(self, pictures: Sequence[Image.Image]) -> list[np.ndarray]:
        return [np.zeros((0, 4), dtype=np.float32) for _ in pictures]


class HubDetector:
    """A detector of transformers: YOLOS, DETR, RT-DETR."""

    def __init__(self, name: str, device: torch.device):
        with extra("photographs"):
            from transformers import AutoImageProcessor, AutoModelForObjectDetection

        self.processor = AutoImageProcessor.from_pretrained(name)
        self.model = AutoModelForObjectDetection.from_pretrained(name).eval().to(device)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image.Image]) -> list[np.ndarray]:
        return [self._one(picture) for picture in pictures]  # in a batch, pictures of other sizes would be padded

    def _one(self, picture: Image.Image) -> np.ndarray:
        inputs = self.processor(images=picture, return_tensors="pt").to(self.model.device)
        (found,) = self.processor.post_process_object_detection(self.model(**inputs), threshold=SURE)
        return surest(found["boxes"].cpu().numpy(), found["scores"].cpu().numpy())


class HubBackbone:
    """A vision backbone of transformers that gives patches or a map: DINOv2, ViT, ResNet, the image tower of CLIP."""

    def __init__(self, name: str, device: torch.device):
        with extra("photographs"):
            from transformers import AutoImageProcessor, AutoModel

        processor = AutoImageProcessor.from_pretrained(name)
        self.mean, self.std = processor.image_mean, processor.image_std
        size = getattr(processor, "crop_size", None) or processor.size
        self.side = int(size.get("height") or size["shortest_edge"])
        model = AutoModel.from_pretrained(name)
        self.model = getattr(model, "vision_model", model).eval().to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        found = self.model(squashed(pictures, self.side, self.mean, self.std).to(self.device)).last_hidden_state
        return found if found.ndim == 4 else _as_map(found)


def _as_map(patches: Tensor) -> Tensor:
    """Return a map (B, F, H, H) of a transformer's tokens (B, N, F). Its patches come last, after special tokens."""
    side = int(patches.shape[1] ** 0.5)
    return patches[:, -(side**2) :].mT.unflatten(2, (side, side))


def squashed(pictures: Sequence[Image.Image], side: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return whole pictures as (B, 3, side, side), normalised. Nothing is cropped, so boxes stay where they are."""
    resized = [np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)) for picture in pictures]
    numbers = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
    return (numbers - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


class OnnxDetector:
    """A detector of the YOLOX family, as its authors export it to ONNX, without the last decoding.

    It reads one picture (1, 3, S, S) in BGR, with numbers from 0 to 255. The picture stands in the upper left corner,
    and all other pixels are 114. It gives an array (1, N, 5 + C), which has one row for each cell of three grids with
    steps of 8, 16 and 32 pixels. A row holds the offset of the box's middle from the cell and the logarithms of its
    width and height, all in steps. After these, it holds the probability that there is a thing, and the probability of
    each of C classes.
    """

    def __init__(self, path: str):
        with extra("photographs"):
            import onnxruntime

        self.session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        self.input = self.session.get_inputs()[0]
        self.side = int(self.input.shape[2])

    def __call__(self, pictures: Sequence[Image.Image]) -> list[np.ndarray]:
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: Image.Image) -> np.ndarray:
        scale = self.side / max(picture.size)
        width, height = (max(1, round(length * scale)) for length in picture.size)
        canvas = np.full((self.side, self.side, 3), 114, dtype=np.float32)
        canvas[:height, :width] = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))[..., ::-1]
        (found,) = self.session.run(None, {self.input.name: canvas.transpose(2, 0, 1)[None]})
        cells, steps = _cells(self.side)
        middle, half = (found[0, :, :2] + cells) * steps, np.exp(found[0, :, 2:4]) * steps / 2
        boxes = np.concatenate([middle - half, middle + half], axis=1) / [width, height, width, height]
        return surest(boxes, found[0, :, 4] * found[0, :, 5:].max(1))


def _cells(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the place (N, 2) of each cell of YOLOX's three grids, in steps, and the step (N, 1) in pixels."""
    cells, steps = [], []
    for step in (8, 16, 32):
        y, x = np.mgrid[: side // step, : side // step]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        steps.append(np.full((x.size, 1), step))
    return np.concatenate(cells), np.concatenate(steps)


class OnnxBackbone:
    """A backbone that reads (B, 3, S, S), normalised as for ImageNet, and gives a map (B, F, H, W) first."""

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, path: str):
        with extra("photographs"):
            import onnxruntime

        self.session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
        self.input = self.session.get_inputs()[0]
        self.side = int(self.input.shape[2])

    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        one_at_a_time = [
            self.session.run(None, {self.input.name: squashed([picture], self.side, self.mean, self.std).numpy()})[0]
            for picture in pictures
        ]
        return torch.from_numpy(np.concatenate(one_at_a_time))


def open_detector(name: str, device: torch.device) -> Detector:
    """Return the detector of this name: "grid" for none, the path of an ONNX file, or a model of transformers.

    Raises:
        DataError: the model cannot be opened.
        ImportError: onnxruntime or transformers is not installed.
    """
    if name == "grid":
        return NoDetector()
    with _opening(name, "detector"):
        return OnnxDetector(name) if Path(name).suffix == ".onnx" else HubDetector(name, device)


def open_backbone(name: str, device: torch.device) -> Backbone:
    """Return the backbone of this name: the path of an ONNX file, or a model of transformers.

    Raises:
        DataError: the model cannot be opened.
        ImportError: onnxruntime or transformers is not installed.
    """
    with _opening(name, "backbone"):
        return OnnxBackbone(name) if Path(name).suffix == ".onnx" else HubBackbone(name, device)


@contextmanager
def _opening(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise  # it says which extra is missing
    except Exception as error:  # of transformers, its hub and onnxruntime, which have no common class
        raise DataError(
            f"{name}: cannot be opened as a {kind} ({error}); expected a model of transformers, or an .onnx file that "
            "reads pictures (B, 3, S, S) of a fixed size S"
        ) from error
