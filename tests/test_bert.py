"""SAEM reads what a BERT from disk says of each caption, and leaves the BERT as it was."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL
from equations import attended_image, convolved_text, cosine
from test_restated import Paper, restate, scores_of, setup

from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.text import load_tokenizer
from vsrpp_lite.matcher import Progress
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.training.models import load
from vsrpp_lite.training.ranking import all_scores
from vsrpp_lite.training.runs import Run

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers")
PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] a and the near some do ##g c ##ar t ##ree b ##oat re ##d gre ##en black"
both = pytest.mark.parametrize("faithful", [False, True])


@pytest.fixture
def folder(tmp_path):
    """A tiny BERT of random weights that cuts some of our words into pieces and does not know others."""
    torch.manual_seed(0)
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "vocab.txt").write_text(PIECES.replace(" ", "\n"), encoding="utf-8")
    transformers.BertTokenizer.from_pretrained(bert).save_pretrained(bert)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(PIECES.split()), initializer_range=0.5, **sizes)
    transformers.BertModel(config).save_pretrained(bert)
    return str(bert)


@both
def test_scores_are_those_of_its_own_tokenizer_and_model_caption_by_caption(folder, toy, faithful):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).double().eval()
    matcher, batch = setup(SAEM(bert=folder, faithful=faithful), toy)

    captions = {tuple(tokenizer(caption).input_ids): caption for caption in open_split(toy, "dev").captions}

    def states(_, tokens, positions):
        caption = captions[tuple(tokens)]  # our tokens are BERT's own
        cut = tokenizer(caption, padding="max_length" if faithful else False, max_length=32, return_tensors="pt")
        assert len(cut.input_ids[0]) > len(caption.split()) + 2  # [CLS], pieces, [SEP]
        return model(**cut).last_hidden_state[0].detach().numpy()

    paper = Paper(None, attended_image, partial(convolved_text, states=states), cosine)
    expected = restate(paper, matcher, batch)[0]
    assert expected.std() > 0.02
    np.testing.assert_allclose(scores_of(matcher, batch), expected, atol=1e-8, rtol=0)

    tokens = torch.nn.functional.pad(batch.tokens, (0, 9))
    wide = batch._replace(tokens=tokens, token_mask=torch.nn.functional.pad(batch.token_mask, (0, 9)))
    np.testing.assert_allclose(scores_of(matcher, wide), expected, atol=1e-8, rtol=0)


def test_a_caption_that_is_longer_than_bert_can_read_is_cut(folder, toy):
    """BERT reads 512 pieces. All pieces are "a" here, so 600 and 2,000 of them have the same first 512."""
    matcher, _ = setup(SAEM(bert=folder), toy)
    long, longer = (matcher.encode_texts(["a " * count]).pooled for count in (600, 2000))
    torch.testing.assert_close(long, longer)


@both
def test_it_stays_as_it_was_and_drops_out_only_if_faithful(folder, toy, faithful):
    matcher, batch = setup(SAEM(bert=folder, faithful=faithful), toy)
    before = {name: x.clone() for name, x in matcher.texts.state_dict().items()}
    optimizer = torch.optim.Adam(matcher.train().parameters(), lr=0.1)
    sum(matcher(batch, Progress(warming_up=True)).values()).backward()
    optimizer.step()
    assert all(parameter.grad is None for parameter in matcher.texts.states.parameters())
    moved = {name for name, x in matcher.texts.state_dict().items() if not torch.equal(x, before[name])}
    assert moved == {name for name in before if name.startswith(("convolutions.", "project."))}

    for training, drops in ((True, faithful), (False, False)):
        matcher.train(training)
        first, second = (matcher.texts.states(batch.tokens, batch.token_mask) for _ in range(2))
        assert torch.equal(first, second) is not drops


def test_a_model_is_read_where_its_bert_is_not(folder, toy, tmp_path):
    """The export holds the weights of the BERT and its size, and does not tell where the BERT lay.

    Another BERT that lies at the same path on the reader's machine is left alone.
    """
    run = Run(system=SAEM(bert=folder), data="toy", sizes=SMALL, training=Training(epochs=1, batch_size=20))
    result = run.fit()
    expected = result.scores()
    export = result.export(toy.parent / "export")
    for told in ("config.json", "README.md"):
        assert "bert" in (export / told).read_text() and str(tmp_path) not in (export / told).read_text()
    Path(folder).rename(toy.parent / "elsewhere")
    matcher, test = load(export), run.dataset("test")
    np.testing.assert_allclose(all_scores(matcher, test, matcher.similarity), expected, atol=1e-6)
    wider = transformers.BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    transformers.BertModel(wider).save_pretrained(folder)
    for place in (export, run.folder):
        np.testing.assert_allclose(all_scores(load(place), test, matcher.similarity), expected, atol=1e-6)


def test_the_word_pieces_are_saved_with_the_model(folder, tmp_path):
    tokenizer = SAEM(bert=folder).tokenizer([], min_count=1)
    tokens = tokenizer.encode("a red dog.")
    assert [tokenizer.words[k] for k in tokens] == ["[CLS]", "a", "re", "##d", "do", "##g", "[UNK]", "[SEP]"]
    assert tokenizer.decode(tokens) == ["a", "re", "##d", "do", "##g"]
    tokenizer.save(tmp_path / "kept")
    again = load_tokenizer(tmp_path / "kept")
    assert again.encode("a red dog.").tolist() == tokens.tolist()
    assert len(again) == len(PIECES.split())
