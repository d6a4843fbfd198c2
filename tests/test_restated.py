"""Every system scores, and is trained, as its equations say: see `equations`.

From the package come the weights, by name, and a batch; nothing else.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import equations as eq
import numpy as np
import pytest
import torch
from conftest import COLOURS, SMALL, THINGS

from vsrpp_lite.data.dataset import Batch, batches
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.matcher import Progress
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import VARIANTS
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp


class Paper(NamedTuple):
    system: object
    image: object
    text: object
    score: object
    hinged: dict | None = None  # the score alone, if not given
    added: dict | None = None
    margin: float = 0.2


i2t = partial(eq.attend, direction="i2t", temperature=4)
t2i_lse = partial(eq.attend, pool=partial(eq.log_sum_exp, 6))
i2t_lse = partial(i2t, pool=partial(eq.log_sum_exp, 5))
half = partial(eq.fused, mu=0.5, local=i2t)
both = {"global": eq.cosine, "local": eq.attend}
caption = {"caption": eq.caption_loss}
said = {"caption": eq.generation_loss, "concepts": eq.concept_loss}
PAPERS = [
    Paper(VSEpp(), eq.plain_image, eq.gru_text, eq.cosine),
    Paper(VSEpp(measure="order", margin=0.05), eq.plain_image, eq.gru_text, eq.order, margin=0.05),
    Paper(SCO(), eq.concept_image, eq.lstm_text, eq.cosine, added=said),
    Paper(VARIANTS["t2i LSE"], eq.plain_image, eq.bigru_text, t2i_lse),
    Paper(VARIANTS["t2i AVG"], eq.plain_image, eq.bigru_text, eq.attend),
    Paper(VARIANTS["i2t LSE"], eq.plain_image, eq.bigru_text, i2t_lse),
    Paper(VARIANTS["i2t AVG"], eq.plain_image, eq.bigru_text, i2t),
    Paper(GVSE(), eq.gated_image, eq.gated_text, eq.cosine),
    Paper(SAEM(), eq.attended_image, eq.convolved_text, eq.cosine),
    Paper(SAEM(faithful=True), eq.attended_image, partial(eq.convolved_text, filled=32), eq.cosine),
    Paper(VSRN(), eq.graph_image, eq.gru_text, eq.cosine, added=caption),
    Paper(VSRN(norm="regions"), partial(eq.graph_image, norm="regions"), eq.gru_text, eq.cosine, added=caption),
    Paper(VSRN(norm="scaled"), partial(eq.graph_image, norm="scaled"), eq.gru_text, eq.cosine, added=caption),
    Paper(VSRpp(), eq.graph_image, eq.bigru_text, eq.fused, added=caption),
    Paper(VSRpp(bidirectional=False), eq.graph_image, eq.gru_text, eq.fused, added=caption),
    Paper(VSRpp(mu=0.5, direction="i2t", temperature=4.0, caption_loss=False), eq.graph_image, eq.bigru_text, half),
    Paper(VSRpp(fusion="loss"), eq.graph_image, eq.bigru_text, eq.cosine, both, caption),
    Paper(VSRpp(fusion="global"), eq.graph_image, eq.bigru_text, eq.cosine, added=caption),
    Paper(VSRpp(fusion="local"), partial(eq.graph_image, read=False), eq.bigru_text, eq.attend, added=caption),
]
every_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: repr(paper.system))


def setup(system, toy):
    """A matcher without a convenient zero or one, and a batch with noise in all regions, missing ones too."""
    train, dev = open_split(toy, "train"), open_split(toy, "dev")
    vocabulary = system.tokenizer(train.captions, min_count=1)
    matcher = system.build(vocabulary, train.feature_size, replace(SMALL, embed=32, layers=2)).double().eval()
    generator = torch.Generator().manual_seed(0)
    trained = {name for name, x in matcher.named_parameters() if x.requires_grad}
    for name, x in matcher.state_dict().items():
        if name in trained or "running" in name:
            x.normal_(0, 0.3 if x.ndim == 1 else x[0].numel() ** -0.5, generator=generator)
            if x.ndim == 1 and name.endswith(("weight", "var")):
                x.exp_()
    # a batch has captions of similar length: every third of all 36 gives twelve of several lengths
    every = next(batches(dev, vocabulary.encode_all(dev.captions), 36, seed=0, epoch=0))
    batch = Batch(*(x[::3] for x in every))._replace(positives=torch.arange(12))
    noise = torch.randn(batch.regions.shape, generator=generator).double()
    return matcher, batch._replace(regions=batch.regions.double() + noise)


def restate(paper, matcher, batch):
    """Scores (I, T), `score`'s and by name of each hinge; all v; all t; added losses by name."""
    w = {name.replace("_l0", ""): x.numpy() for name, x in matcher.state_dict().items()}
    X = [x[real].numpy() for x, real in zip(batch.regions, batch.region_mask)]
    tokens = [x[real].tolist() for x, real in zip(batch.tokens, batch.token_mask)]
    images = [paper.image(eq.part(w, "images"), x) for x in X]
    texts = [paper.text(eq.part(w, "texts"), words) for words in tokens]
    scores = {
        name: np.array([[score(*image, *text) for text in texts] for image in images])
        for name, score in {"score": paper.score, **(paper.hinged or {"ranking": paper.score})}.items()
    }
    added = {
        name: np.mean([loss(eq.part(w, f"losses.{name}"), x, *vV, y) for x, vV, y in zip(X, images, tokens)])
        for name, loss in (paper.added or {}).items()
    }
    return scores.pop("score"), scores, [v for v, _ in images], [t for t, _ in texts], added


def scores_of(matcher, batch):
    images, texts = matcher.encode_batch(batch)
    return matcher.similarity(images, texts).detach().numpy()


@every_paper
def test_scores_equal_the_equations(paper, toy):
    matcher, batch = setup(paper.system, toy)
    expected = restate(paper, matcher, batch)[0]
    atol = 1e-7 if isinstance(paper.system, SAEM) else 1e-8  # SAEM's positions of words are float32
    assert expected.std() > 0.02
    for with_gradient in (True, False):  # torch's transformer layer has a way of its own for each
        with torch.set_grad_enabled(with_gradient):
            np.testing.assert_allclose(scores_of(matcher, batch), expected, atol=atol, rtol=0)


@every_paper
@pytest.mark.parametrize(("hardest", "decays", "steps"), [(False, 0.4, 0), (True, 0.7, 1)])
def test_losses_equal_the_equations(paper, toy, hardest, decays, steps):
    matcher, batch = setup(paper.system, toy)
    _, scores, v, t, added = restate(paper, matcher, batch)
    image_of = batch.image_positions.tolist()
    assert len(set(image_of)) < len(image_of)  # some image is there twice
    ranked = {name: eq.hinge(S, image_of, paper.margin, hardest) for name, S in scores.items()}
    if isinstance(paper.system, SAEM):
        ranked["angular"] = eq.angular(v, t, image_of, steps)
    found = matcher(batch, Progress(warming_up=not hardest, decays=decays))
    assert {name: loss.item() for name, loss in found.items()} == {
        **{name: pytest.approx(loss, abs=1e-7) for name, loss in ranked.items()},
        **{name: pytest.approx(loss, abs=1e-8) for name, loss in added.items()},
    }


def test_concepts_of_sco_are_the_content_words(toy):
    matcher, _ = setup(SCO(), toy)
    concepts = [matcher.tokenizer.words[k] for k in matcher.state_dict()["losses.concepts.concepts"]]
    assert sorted(concepts) == sorted(COLOURS + THINGS)


def test_specials_of_gvse_have_no_letters(toy):
    matcher, _ = setup(GVSE(), toy)
    lengths = matcher.state_dict()["texts.vectors"].norm(dim=1).tolist()
    assert lengths == [0, 0, 0, 0, *[pytest.approx(1)] * (len(lengths) - 4)]
