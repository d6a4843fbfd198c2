"""Checkpoints as the authors of VSE++, SCAN and VSRN have published them score as their code does.

The forward passes are restated here in NumPy with the names of the releases. The weights are random, and small.
"""

import argparse
import json
import pickle
import sys
import types

import equations as eq
import numpy as np
import pytest
import torch
from conftest import toy_split
from torch import nn
from typer.testing import CliRunner

import vsrpp_lite as vl
from vsrpp_lite.__main__ import app
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.text import SPECIALS, TreebankVocabulary, load_tokenizer
from vsrpp_lite.paper.released import import_checkpoint, read_vocabulary

D, F, E = 8, 12, 5
WORDS = (*SPECIALS, "a", "red", "blue", "dog", "cat", "cube", "ball", "and", ".", "'s")


def state_of(**modules):
    """The state dict of modules under these names, with statistics of BatchNorm that are not those of its start."""
    for module in modules.values():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d):
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
    found = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    return {name.replace("__", "."): value for name, value in found.items()}


def texts(size, *, both=False):
    rnn = nn.GRU(E, size, batch_first=True, bidirectional=both)
    return state_of(embed=nn.Embedding(len(WORDS), E), rnn=rnn)


def graph(size):
    def conv():
        return nn.Conv1d(size, size, 1)

    layers = {}
    for k in (1, 2):
        layers |= {f"Rs_GCN_{k}__{name}": conv() for name in ("g", "theta", "phi")}
        layers[f"Rs_GCN_{k}__W"] = nn.Sequential(conv(), nn.BatchNorm1d(size))
    return layers | {"img_rnn": nn.GRU(size, size, batch_first=True), "bn": nn.BatchNorm1d(size)}


COMMON = {"margin": 0.2, "num_layers": 1, "no_imgnorm": False, "learning_rate": 2e-4, "embed_size": D}
OPTIONS = {
    "VSE++": COMMON | {"measure": "cosine", "use_abs": False},
    "order": COMMON | {"measure": "order", "use_abs": True, "margin": 0.05},
    "SCAN t2i AVG": COMMON
    | {"cross_attn": "t2i", "agg_func": "Mean", "lambda_softmax": 9.0, "lambda_lse": 6.0, "bi_gru": True}
    | {"raw_feature_norm": "clipped_l2norm", "no_txtnorm": False},
    "SCAN i2t LSE": COMMON
    | {"cross_attn": "i2t", "agg_func": "LogSumExp", "lambda_softmax": 4.0, "lambda_lse": 5.0, "bi_gru": True}
    | {"raw_feature_norm": "clipped_l2norm", "no_txtnorm": False},
    "VSRN": COMMON | {"measure": "cosine", "use_abs": False, "data_name": "f30k_precomp"},
}


def released(name, **changed):
    """The content of a checkpoint."""
    torch.manual_seed(0)
    images = state_of(fc=nn.Linear(F, D), **(graph(D) if name == "VSRN" else {}))
    model = [images, texts(D, both=name.startswith("SCAN"))]
    opt = argparse.Namespace(**(OPTIONS[name] | changed))
    return {"epoch": 29, "model": model, "best_rsum": 480.0, "opt": opt, "Eiters": 6600}


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A home with data, a vocabulary, and a function that writes a checkpoint."""
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path))
    splits = {"train": toy_split(20, 1), "dev": toy_split(6, 2, 100), "test": toy_split(8, 3, 200)}
    vl.write_dataset(tmp_path / "data" / "toy", name="toy", source="tests", splits=splits)
    vocabulary = tmp_path / "f30k_precomp_vocab.json"
    ids = {word: k for k, word in enumerate(WORDS)}
    vocabulary.write_text(json.dumps({"word2idx": ids, "idx2word": dict(enumerate(WORDS)), "idx": len(WORDS)}))

    def write(content):
        torch.save(content, tmp_path / "model_best.pth.tar", _use_new_zipfile_serialization=False)
        return tmp_path / "model_best.pth.tar"

    return write, vocabulary


# --- the forward passes of the releases -----------------------------------------------------------


def gru(state, name, inputs, suffix=""):
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return eq.gru({kind: state[f"{name}.{kind}_l0{suffix}"] for kind in kinds}, inputs)


def normed(state, name, x):
    return eq.batch_norm({key.removeprefix(f"{name}."): state[key] for key in state if key.startswith(f"{name}.")}, x)


def conv(state, name, x):
    return x @ state[f"{name}.weight"][:, :, 0].T + state[f"{name}.bias"]


def encode_image(name, state, X):
    projected = X @ state["fc.weight"].T + state["fc.bias"]
    if name != "VSRN":
        whole = projected.mean(0)
        return abs(eq.l2norm(whole)) if name == "order" else eq.l2norm(whole), eq.each(eq.l2norm, projected)
    for k in (1, 2):
        theta, phi, g = (conv(state, f"Rs_GCN_{k}.{part}", projected) for part in ("theta", "phi", "g"))
        messages = conv(state, f"Rs_GCN_{k}.W.0", theta @ phi.T / len(X) @ g)
        projected = projected + normed(state, f"Rs_GCN_{k}.W.1", messages)
    enhanced = projected / np.sqrt((projected**2).sum(0))  # over the regions
    return eq.l2norm(normed(state, "bn", gru(state, "img_rnn", enhanced)[-1])), enhanced


def encode_text(name, state, ids):
    inputs = state["embed.weight"][ids]
    states = gru(state, "rnn", inputs)
    if name.startswith("SCAN"):
        states = (states + gru(state, "rnn", inputs[::-1], "_reverse")[::-1]) / 2
    whole = eq.l2norm(states[-1])
    return abs(whole) if name == "order" else whole, eq.each(eq.l2norm, states)


SCORES = {
    "VSE++": eq.cosine,
    "order": eq.order,
    "VSRN": eq.cosine,
    "SCAN t2i AVG": eq.attend,
    "SCAN i2t LSE": lambda *pair: eq.attend(
        *pair, direction="i2t", temperature=4, pool=lambda cosines: eq.log_sum_exp(5, cosines)
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_checkpoint_scores_as_the_released_code(given, name, tmp_path):
    write, vocabulary = given
    content = released(name)
    result = import_checkpoint(write(content), vocabulary, "toy")
    test = result.run.dataset("test")
    image_state, text_state = (
        {key: value.double().numpy() for key, value in part.items()} for part in content["model"]
    )
    images = [encode_image(name, image_state, example.regions.astype(np.float64)) for example in test]
    index = {word: k for k, word in enumerate(WORDS)}
    ids = [[1, *(index.get(word, 3) for word in caption.lower().split()), 2] for caption in test.captions]
    captions = [encode_text(name, text_state, each) for each in ids]
    expected = np.array([[SCORES[name](*image, *text) for text in captions] for image in images])
    np.testing.assert_allclose(result.scores(), expected, atol=2e-6)
    assert result.recalls["rsum"] > 0
    assert result.record["imported"] == "model_best.pth.tar"
    card = (result.export(tmp_path / "export") / "README.md").read_text()
    assert "and has the weights of the released checkpoint `model_best.pth.tar`." in card and "seed" not in card


def test_two_imported_models_are_averaged_as_published_rows_are(given):
    write, vocabulary = given
    pair = [import_checkpoint(write(released(name)), vocabulary, "toy") for name in ("SCAN t2i AVG", "SCAN i2t LSE")]
    assert pair[0].run.folder != pair[1].run.folder
    where = pair[0].run.dataset("test").caption_to_image
    mean = (pair[0].scores() + pair[1].scores()) / 2
    averaged = pair[0].rank([pair[1]])
    assert averaged["texts"].tolist() == vl.ranks(mean, where)[1].tolist()


def test_an_import_is_done_once_and_is_no_training(given):
    write, vocabulary = given
    path = write(released("VSE++"))
    first, again = (import_checkpoint(path, vocabulary, "toy") for _ in range(2))
    assert first.run == again.run
    assert first.run.seed > 1000
    mended = vocabulary.with_name("mended.json")  # the same words in another order: another model
    mended.write_text(json.dumps({"word2idx": {word: k for k, word in enumerate([*WORDS[:4], *WORDS[:3:-1]])}}))
    other = import_checkpoint(path, mended, "toy")
    assert other.matcher().tokenizer.words != first.matcher().tokenizer.words
    assert not vl.Run(system=vl.VSEpp(), data="toy", preset="paper").done


def test_a_full_stop_is_a_word_and_is_kept(tmp_path):
    vocabulary = TreebankVocabulary(WORDS)
    assert [WORDS[k] for k in vocabulary.encode("A dog's red ball.")] == [
        *("<start>", "a", "dog", "'s", "red", "ball", ".", "<end>")
    ]
    vocabulary.save(tmp_path)
    assert load_tokenizer(tmp_path) == vocabulary
    assert isinstance(load_tokenizer(tmp_path), TreebankVocabulary)


def test_weight_normalisation_and_parallel_names_are_undone(given):
    write, vocabulary = given
    content = released("VSE++")
    plain = import_checkpoint(write(content), vocabulary, "toy").scores()
    images, captions = content["model"]
    weight = images.pop("fc.weight")
    length = weight.norm(dim=1, keepdim=True)
    images |= {"fc.weight_g": length, "fc.weight_v": weight / length * 3}
    content["model"] = [{f"module.{name}": value for name, value in part.items()} for part in (images, captions)]
    np.testing.assert_allclose(import_checkpoint(write(content), vocabulary, "toy").scores(), plain, atol=1e-6)


# --- what does not fit ----------------------------------------------------------------------------

REFUSED = {
    "raw_feature_norm": ("SCAN t2i AVG", {"raw_feature_norm": "softmax"}, "raw_feature_norm is 'softmax'; expected"),
    "agg_func": ("SCAN t2i AVG", {"agg_func": "Max"}, "agg_func is 'Max' .*expected Mean or LogSumExp"),
    "bi_gru": ("SCAN t2i AVG", {"bi_gru": False}, "bi_gru is False; expected True"),
    "no_txtnorm": ("SCAN t2i AVG", {"no_txtnorm": True}, "no_txtnorm is True; expected False"),
    "no_imgnorm": ("VSE++", {"no_imgnorm": True}, "no_imgnorm is True"),
    "use_abs": ("VSE++", {"use_abs": True}, "use_abs is True; expected False"),
    "order": ("order", {"use_abs": False}, "use_abs is False; expected True"),
    "num_layers": ("VSE++", {"num_layers": 2}, "num_layers is 2; expected 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_the_system_does_not_have_are_refused(given, case):
    write, vocabulary = given
    name, changed, message = REFUSED[case]
    with pytest.raises(DataError, match=rf"model_best\.pth\.tar: {message}"):
        import_checkpoint(write(released(name, **changed)), vocabulary, "toy")


def test_other_towers_sizes_and_words_are_refused(given, tmp_path):
    write, vocabulary = given
    content = released("VSE++")
    content["model"][0]["cnn.module.conv1.weight"] = torch.zeros(2)
    with pytest.raises(DataError, match="a CNN that reads pixels"):
        import_checkpoint(write(content), vocabulary, "toy")
    content = released("VSRN")
    content["model"][0] = {key: value for key, value in content["model"][0].items() if not key.startswith("bn.")}
    with pytest.raises(DataError, match="trained on COCO"):
        import_checkpoint(write(content), vocabulary, "toy")
    content = released("VSE++")
    content["model"][0]["fc.weight"] = torch.zeros(D, 7)
    with pytest.raises(DataError, match=r"toy: has 12 numbers a region; expected 7"):
        import_checkpoint(write(content), vocabulary, "toy")
    content = released("VSE++")
    content["model"][1]["rnn.weight_hh_l0"] = torch.zeros(3, 3)
    with pytest.raises(DataError, match="its weights do not fit VSEpp"):
        import_checkpoint(write(content), vocabulary, "toy")
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps({"word2idx": {word: k for k, word in enumerate(WORDS[:-1])}}))
    with pytest.raises(DataError, match=r"fewer\.json: has 13 words; expected 14"):
        import_checkpoint(write(released("VSE++")), fewer, "toy")
    assert not list((tmp_path / "runs").glob("*/result.json"))


def without(name):
    return lambda content: [part.pop(name, None) for part in content["model"]]


def flat(side, name):
    return lambda content: content["model"][side].update({name: torch.ones(5)})


MALFORMED = {
    "no bias": ("VSE++", without("fc.bias"), "has no fc.bias"),
    "no table of words": ("VSE++", flat(1, "embed.weight"), r"embed.weight has shape \(5,\); expected 2 axes"),
    "a flat map": ("VSE++", flat(0, "fc.weight"), r"fc.weight has shape \(5,\); expected 2 axes"),
    "no words": ("VSE++", lambda c: c["model"][1].clear(), "has no embed.weight"),
    "half of a weight normalisation": (
        "VSE++",
        lambda c: c["model"][0].update({"fc.weight_g": c["model"][0].pop("fc.weight")}),
        "has no fc.weight",
    ),
    "a number for a tensor": ("VSE++", lambda c: c["model"][0].update({"fc.weight": 3}), "fc.weight is int; expected"),
    "another layer in the graph": (
        "VSRN",
        lambda c: c["model"][0].update({"Rs_GCN_1.zeta.weight": torch.zeros(D, D)}),
        "found KeyError.'zeta'.; expected the options and layers of a release",
    ),
    "a weight normalisation of other shapes": (
        "VSE++",
        lambda c: c["model"][0].update(
            {"fc.weight_v": c["model"][0].pop("fc.weight"), "fc.weight_g": torch.ones(3, 1)}
        ),
        r"fc.weight_v has shape \(\d+, \d+\) and fc.weight_g \(3, 1\); expected",
    ),
    "words for a margin": ("VSE++", lambda c: setattr(c["opt"], "margin", "wide"), "found ValueError"),
    "no pooling": ("SCAN t2i AVG", lambda c: delattr(c["opt"], "agg_func"), "found AttributeError"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_checkpoint_that_is_not_whole_is_refused_in_a_line(given, case):
    write, vocabulary = given
    name, spoil, message = MALFORMED[case]
    content = released(name)
    spoil(content)
    with pytest.raises(DataError, match=rf"model_best\.pth\.tar: {message}"):
        import_checkpoint(write(content), vocabulary, "toy")


class Harm:
    def __reduce__(self):
        return (print, ("harm",))


def test_a_checkpoint_is_never_executed(given, capsys):
    write, vocabulary = given
    for content in (released("VSE++") | {"opt": Harm()}, {"model": 3}, [1, 2], Harm()):
        with pytest.raises(DataError, match="not a checkpoint of VSE"):
            import_checkpoint(write(content), vocabulary, "toy")
    path = write(released("VSE++"))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="not a checkpoint of VSE"):
        import_checkpoint(path, vocabulary, "toy")
    assert "harm" not in capsys.readouterr().out


def pickled(tmp_path, protocol, words=WORDS):
    """A vocabulary as the releases pickle it: an object of a class Vocabulary in a module vocab."""
    module = types.ModuleType("vocab")
    exec("class Vocabulary(object): pass", vars(module))
    module.Vocabulary.__module__ = "vocab"
    made = module.Vocabulary()
    made.word2idx, made.idx2word, made.idx = (
        {word: k for k, word in enumerate(words)},
        dict(enumerate(words)),
        len(words),
    )
    sys.modules["vocab"] = module
    try:
        content = pickle.dumps(made, protocol=protocol, fix_imports=True)
    finally:
        del sys.modules["vocab"]
    path = tmp_path / "f30k_precomp_vocab.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_pickled_vocabulary_is_read_and_nothing_is_imported_for_it(tmp_path, protocol):
    assert read_vocabulary(pickled(tmp_path, protocol)) == list(WORDS)
    assert "vocab" not in sys.modules


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Harm()), "it holds builtins.print"),
        (b"nonsense", "not a released vocabulary"),
        (b"", "not a released vocabulary"),
        (pickle.dumps({"word2idx": {}}), "not a released vocabulary"),
    ],
)
def test_another_pickle_is_refused(tmp_path, content, message, capsys):
    (tmp_path / "vocab.pkl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vocabulary(tmp_path / "vocab.pkl")
    assert "harm" not in capsys.readouterr().out


def test_words_with_holes_or_in_another_order_are_refused(tmp_path):
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({"word2idx": {word: 2 * k for k, word in enumerate(WORDS)}}))
    with pytest.raises(DataError, match="the ids of its 14 words are not 0 to 13"):
        read_vocabulary(path)
    path.write_text(json.dumps({"word2idx": {word: k for k, word in enumerate(reversed(WORDS))}}))
    with pytest.raises(DataError, match="expected <pad>, <start>"):
        read_vocabulary(path)


def test_the_command_imports_and_says_the_recalls(given):
    write, vocabulary = given
    path = write(released("VSRN"))
    done = CliRunner().invoke(app, ["import", str(path), "--vocabulary", str(vocabulary), "--data", "toy"])
    assert done.exit_code == 0, done.output
    assert "rsum" in done.output
    wrong = CliRunner().invoke(app, ["import", str(vocabulary), "--vocabulary", str(vocabulary), "--data", "toy"])
    assert wrong.exit_code == 1
    assert wrong.output.startswith("error: ")
