"""Lesson 10 scores pictures and captions by a CLIP model as the library of the model does."""

import json
import string
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch
from PIL import Image

import vsrpp_lite as vl

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers")
LESSON = Path(__file__).parent.parent / "notebooks" / "src" / "10_from_the_hinge_to_clip.py"
SIDE = 32
CAPTIONS = ["a red dog.", "two cats near a tree, at night.", "a boat.", "a dog on a boat.", "the sea."]


@pytest.fixture
def folder(tmp_path):
    """A tiny CLIP of random weights, which reads letter by letter."""
    letters = [*string.ascii_lowercase, ".", ","]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps({piece: k for k, piece in enumerate(pieces)}), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": len(pieces), "max_position_embeddings": 64},
        vision_config={**sizes, "image_size": SIDE, "patch_size": 8},
        projection_dim=8,
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    return tmp_path


class Pictures:
    """A split of three square pictures, as large as the model reads them."""

    captions = CAPTIONS

    def __init__(self, where):
        rng = np.random.default_rng(0)
        self.paths = [where / f"{k}.png" for k in range(3)]
        for path in self.paths:
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)

    def __len__(self):
        return len(self.paths)

    def picture(self, k):
        return self.paths[k]


@pytest.mark.parametrize("block", [2, 64])
def test_the_scores_of_lesson_10_are_the_cosines_of_the_whole_model(folder, tmp_path, block):
    cells = jupytext.read(LESSON).cells
    (cell,) = (cell.source for cell in cells if "def clip_scores" in cell.source)
    names = {"vl": vl, "torch": torch, "np": np, "Image": Image, "Path": Path, "clip": ""}
    exec(cell, names)  # without a model, the cell defines the function and says that it leaves its part out
    test = Pictures(tmp_path)

    model = transformers.CLIPModel.from_pretrained(folder).eval()
    words = transformers.AutoTokenizer.from_pretrained(folder)(CAPTIONS, return_tensors="pt", padding=True)
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    pixels = processor([Image.open(path) for path in test.paths], return_tensors="pt")
    with torch.no_grad():
        expected = model(**words, **pixels).logits_per_image / model.logit_scale.exp()
    assert expected.std() > 0.01
    found = names["clip_scores"](str(folder), test, block=block)
    np.testing.assert_allclose(found, expected, atol=2e-4)  # the lesson rounds the mean colour to four digits
