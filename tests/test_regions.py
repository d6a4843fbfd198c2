"""Boxes of a grid and of detectors, and features from a backbone's map: tiny models with random weights."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import halves
from torch import nn

SCRIPTS = Path(__file__).parent.parent / "data_scripts"
sys.path.insert(0, str(SCRIPTS))

import regions

pytestmark = pytest.mark.slow


def test_the_grid_covers_each_picture_five_times():
    """By the whole, by two pairs of halves, by nine cells and by sixteen."""
    left, top, right, bottom = regions.grid_boxes().T
    assert len(left) == 1 + 4 + 9 + 16
    for x in (np.arange(24) + 0.5) / 24:
        for y in (np.arange(24) + 0.5) / 24:
            assert ((left < x) & (x < right) & (top < y) & (y < bottom)).sum() == 5


def test_features_of_a_ramp_are_those_of_the_middle_of_a_box():
    """A map whose number is its place: the mean over a box is the place of the middle of the box."""
    side = 8
    places = (torch.arange(side) + 0.5) / side
    maps = torch.stack([places.expand(side, side), places[:, None].expand(side, side)])[None]  # x, and y
    boxes = torch.tensor([[[0.125, 0.25, 0.375, 0.75], [0.5, 0.5, 0.875, 0.625]]])
    found = regions.region_features(maps, boxes)
    torch.testing.assert_close(found, torch.tensor([[[0.25, 0.5], [0.6875, 0.5625]]]))


def test_each_picture_of_a_batch_has_its_own_map():
    maps = torch.arange(2.0)[:, None, None, None].expand(2, 3, 4, 4)
    found = regions.region_features(maps, torch.tensor([[[0.0, 0, 1, 1]], [[0.2, 0.2, 0.4, 0.4]]]))
    torch.testing.assert_close(found, torch.tensor([[[0.0] * 3], [[1.0] * 3]]))


def test_of_two_boxes_that_overlap_the_surer_stays():
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0.5, 0.5, 1, 1], [0.4, 0.4, 0.3, 0.9], [0, 0, 1, 1]])
    scores = np.array([0.8, 0.9, 0.5, 0.99, 0.2])
    # the first and the second share 0.9 of their union; the fourth is turned round; the last is not sure
    np.testing.assert_allclose(regions.surest(boxes, scores), boxes[[1, 2]], atol=1e-7)


def test_detected_boxes_come_first_and_the_grid_fills_up():
    own = np.array([[0.1, 0.1, 0.2, 0.2]], dtype=np.float32)
    boxes, counts = regions.chosen_boxes([own, np.zeros((0, 4), np.float32)], 36)
    assert counts.tolist() == [31, 30]
    np.testing.assert_array_equal(boxes[0, 0], own[0])
    np.testing.assert_array_equal(boxes[1, 0], [0, 0, 1, 1])
    assert not boxes[1, 30:].any()
    assert regions.chosen_boxes([np.repeat(own, 9, 0)], 5)[1].tolist() == [5]


def test_a_cell_of_yolox_becomes_the_box_that_it_means():
    """The last of 2 x 2 cells, with steps of 32 pixels of 64."""

    class Session:
        def run(self, _, inputs):
            (pixels,) = inputs.values()
            assert pixels.shape == (1, 3, 64, 64)
            assert pixels[0, :, 0, 0].tolist() == [0, 0, 255]  # red, in the order blue, green, red
            assert pixels[0, 0, 40, 0] == 114  # below the picture, which is half as high as it is wide
            found = np.zeros((1, 64 + 16 + 4, 7), dtype=np.float32)
            # of 2 x 2 cells with steps of 32, the last: middle (1 - 0.5, 1 - 0.75) steps, 0.5 steps wide and high
            found[0, -1] = [-0.5, -0.75, np.log(0.5), np.log(0.5), 0.9, 0.1, 0.8]
            return [found]

    detector = regions.OnnxDetector.__new__(regions.OnnxDetector)
    detector.session, detector.side, detector.input = Session(), 64, type("Input", (), {"name": "images"})
    (boxes,) = detector([halves(200, 100)])
    # middle at 16, 8 pixels of a picture of 64 x 32; 16 pixels wide and high
    np.testing.assert_allclose(boxes, [[8 / 64, 0, 24 / 64, 16 / 32]], atol=1e-6)


@pytest.mark.parametrize(("name", "shape"), [("dinov2", (16, 2, 2)), ("resnet", (16, 4, 4)), ("clip", (16, 2, 2))])
def test_backbones_of_the_hub_give_maps_of_whole_pictures(models, name, shape):
    maps = regions.open_backbone(str(models / name), torch.device("cpu"))([halves(), halves(20, 60), halves()])
    assert maps.shape == (3, *shape)
    torch.testing.assert_close(maps[0], maps[2])
    torch.testing.assert_close(maps[0], maps[1], atol=0.2, rtol=0.2)  # squashed, not cropped: both are half red


def test_a_detector_of_the_hub_gives_relative_boxes(models, monkeypatch):
    monkeypatch.setattr(regions, "SURE", 0.0)
    monkeypatch.setattr(regions, "OVERLAP", 1.0)
    detector = regions.open_detector(str(models / "yolos"), torch.device("cpu"))
    alone = detector([halves(400, 300)])[0]
    assert 1 <= len(alone) <= 5
    assert ((alone >= 0) & (alone <= 1)).all()
    np.testing.assert_allclose(detector([halves(50, 20), halves(400, 300)])[1], alone, atol=1e-6)


class Cells(nn.Module):
    """The numbers of three grids of cells, as YOLOX's, from three convolutions with random weights."""

    def __init__(self):
        super().__init__()
        self.grids = nn.ModuleList(nn.Conv2d(3, 7, step, stride=step) for step in (8, 16, 32))

    def forward(self, pixels):
        cells = torch.cat([grid(pixels / 255).flatten(2) for grid in self.grids], dim=2).mT
        return torch.cat([cells[..., :4], cells[..., 4:].sigmoid()], dim=2)


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    """A detector and a backbone with random weights, exported to ONNX."""
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        for name, model in (("detector", Cells()), ("backbone", backbone)):
            torch.onnx.export(model.eval(), (torch.zeros(1, 3, 64, 64),), folder / f"{name}.onnx", dynamo=True)
    return folder, backbone


def test_models_of_onnx_files_give_boxes_and_maps(onnx_files, monkeypatch):
    folder, backbone = onnx_files
    monkeypatch.setattr(regions, "SURE", 0.1)
    pictures = [halves(200, 100), halves(64, 64)]
    found = regions.open_detector(str(folder / "detector.onnx"), torch.device("cpu"))(pictures)
    assert len(found) == 2
    for boxes in found:
        assert len(boxes) > 1
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[:, :2] < boxes[:, 2:]).all()
    maps = regions.open_backbone(str(folder / "backbone.onnx"), torch.device("cpu"))(pictures)
    with torch.no_grad():
        pixels = regions.squashed(pictures, 64, regions.OnnxBackbone.mean, regions.OnnxBackbone.std)
        torch.testing.assert_close(maps, backbone(pixels), atol=1e-5, rtol=1e-4)
