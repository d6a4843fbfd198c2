"""Search in two stages: the global vectors find candidates, and the matcher's own similarity orders them."""

import builtins

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import vsrpp_lite as vl
from vsrpp_lite.__main__ import app
from vsrpp_lite.data import document
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.sealed_folder import DamagedError
from vsrpp_lite.search import ENCODINGS, ENTRIES, NAMES, Index, matcher_digest, nearest_index, regions_of
from vsrpp_lite.two_stage import multiplications, two_stage


@pytest.fixture
def run(toy):
    return vl.Run(system=vl.VSRpp(mu=2.0), data="toy", preset="smoke")


@pytest.fixture
def searched(run):
    """An untrained matcher, and the split to search."""
    return run.build().eval(), run.dataset("test")


def test_with_all_candidates_it_is_the_full_scan(searched):
    matcher, test = searched
    scores = vl.score(matcher.similarity, *matcher.encode(test))
    index = Index(matcher, test)
    for text in (0, 7, 31):
        found = index.search(test.captions[text], len(test), candidates=len(test))
        assert [answer.position for answer in found] == np.argsort(-scores[:, text], kind="stable").tolist()
        np.testing.assert_allclose([answer.score for answer in found], np.sort(scores[:, text])[::-1], atol=1e-5)
        assert [answer.name for answer in found] == [str(test.image_ids[answer.position]) for answer in found]


def test_candidates_are_the_best_by_the_global_part_and_answers_the_best_of_them_by_the_whole(searched):
    matcher, test = searched
    images, texts = matcher.encode(test)
    both = vl.score(matcher.similarity, images, texts)
    own = (images.pooled @ texts.pooled.T).numpy()
    index = Index(matcher, test)
    for text in range(20):
        best = set(np.argsort(-own[:, text])[:4].tolist())
        found = index.search(test.captions[text], 2, candidates=4)
        assert [answer.position for answer in found] == sorted(best, key=lambda image: -both[image, text])[:2]


def test_a_search_asks_for_at_least_as_many_candidates_as_answers(searched):
    matcher, test = searched
    assert len(Index(matcher, test).search(test.captions[0], 15, candidates=5)) == 15


def test_places_that_an_approximate_index_leaves_empty_are_no_answers(searched):
    """With one open group of four, faiss finds fewer candidates than were asked for, and fills up with -1."""
    matcher, test = searched
    index = Index(matcher, test, kind="IVF4,Flat")
    found = [answer.position for answer in index.search(test.captions[0], len(test), candidates=len(test))]
    assert 0 < len(found) < len(test)
    assert min(found) >= 0 and len(set(found)) == len(found)


def test_an_image_finds_captions(searched):
    matcher, test = searched
    scores = vl.score(matcher.similarity, *matcher.encode(test))
    found = Index(matcher, test, of="captions").search(test[5].regions, 3, candidates=len(test.captions))
    assert [answer.name for answer in found] == [test.captions[k] for k in np.argsort(-scores[5])[:3]]


def test_a_search_leaves_the_statistics_of_a_matcher_in_training_mode_alone(run):
    matcher, test = run.build(), run.dataset("test")
    before = {name: value.clone() for name, value in matcher.state_dict().items()}
    for of, query in (("images", "a red dog"), ("captions", test[5].regions[:1])):
        assert Index(matcher, test, of=of).search(query, 1)
    assert matcher.training
    assert all(torch.equal(before[name], value) for name, value in matcher.state_dict().items())


def test_a_saved_index_may_have_more_names_than_a_configuration_may_have_bytes(searched, tmp_path, monkeypatch):
    matcher, test = searched
    monkeypatch.setattr(document, "LARGEST_BYTES", 1000)  # less than the captions take
    assert sum(map(len, test.captions)) > 1000
    again = Index.load(Index(matcher, test, of="captions").save(tmp_path / "index"), matcher)
    assert again.names == test.captions


def test_a_saved_index_answers_the_same(searched, tmp_path):
    matcher, test = searched
    index = Index(matcher, test)
    again = Index.load(index.save(tmp_path / "index"), matcher)
    assert len(again) == len(index) == len(test)
    assert again.search(test.captions[3]) == index.search(test.captions[3])
    with pytest.raises(FileExistsError, match="nothing was written"):
        index.save(tmp_path / "index")


def test_another_matcher_may_propose(searched, run, tmp_path):
    """The candidates are the best of a VSE++, and VSR++ orders them."""
    matcher, test = searched
    other = vl.Run(system=vl.VSEpp(), data="toy", preset="smoke", seed=1).build(run.build().tokenizer).eval()
    images, texts = other.encode(test)
    proposed = (images.pooled @ texts.pooled.T).numpy()
    both = vl.score(matcher.similarity, *matcher.encode(test))
    index = Index(matcher, test, proposer=other)
    again = Index.load(index.save(tmp_path / "index"), matcher, proposer=other)
    for text in range(10):
        best = np.argsort(-proposed[:, text])[:4].tolist()
        found = index.search(test.captions[text], 4, candidates=4)
        assert [answer.position for answer in found] == sorted(best, key=lambda image: -both[image, text])
        assert again.search(test.captions[text], 4, candidates=4) == found
    with pytest.raises(ValueError, match="another proposer made this index"):
        Index.load(tmp_path / "index", matcher)


def test_the_digest_sees_a_tuple_that_a_module_keeps(searched):
    matcher, _ = searched
    matcher.images.scales = (1, 2)
    before = matcher_digest(matcher)
    matcher.images.scales = (3, 4)
    assert matcher_digest(matcher) != before


def test_an_index_belongs_to_a_matcher_with_all_its_choices_and_words(searched, run, tmp_path):
    """The norm of V* has no weights, and the order of the words decides which weight a word has."""
    matcher, test = searched
    folder = Index(matcher, test).save(tmp_path / "index")
    other = vl.VSRpp(mu=2.0, norm="regions").build(matcher.tokenizer, test.feature_size, run.settings.sizes)
    turned = run.build(vl.Vocabulary([*matcher.tokenizer.words[:4], *matcher.tokenizer.words[:3:-1]]))
    for wrong in (other, turned):
        wrong.load_state_dict(matcher.state_dict())
        with pytest.raises(ValueError, match="another matcher made this index"):
            Index.load(folder, wrong.eval())
    again = run.build(matcher.tokenizer)
    again.load_state_dict(matcher.state_dict())
    assert len(Index.load(folder, again)) == len(test)


def test_damaged_or_foreign_indexes_are_refused(searched, tmp_path):
    matcher, test = searched
    folder = Index(matcher, test).save(tmp_path / "index")
    torch.nn.init.zeros_(next(matcher.parameters()))
    with pytest.raises(ValueError, match="another matcher made this index"):
        Index.load(folder, matcher)
    for name in (ENTRIES, NAMES, ENCODINGS):
        whole = (folder / name).read_bytes()
        flipped = bytes([whole[len(whole) // 2] ^ 1])
        for damaged in (whole[:-1], whole[: len(whole) // 2] + flipped + whole[len(whole) // 2 + 1 :]):
            (folder / name).write_bytes(damaged)
            with pytest.raises(DamagedError, match=f"{name}: found sha256 .*; expected sha256 .* Make the index again"):
                Index.load(folder, matcher)
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"{name}: missing"):
            Index.load(folder, matcher)
        (folder / name).write_bytes(whole)


def test_everybody_may_read_a_saved_index_who_may_read_its_folder(searched, tmp_path):
    folder = Index(*searched).save(tmp_path / "index")
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_wrong_questions_are_refused(searched):
    matcher, test = searched
    with pytest.raises(ValueError, match="of is 'pictures'; expected images or captions"):
        Index(matcher, test, of="pictures")
    with pytest.raises(ValueError, match="kind is 'Round' for 20 vectors; expected a string of faiss's index factory"):
        Index(matcher, test, kind="Round")
    with pytest.raises(ValueError, match="kind is 'IVF32,Flat' for 20 vectors; expected"):  # 32 groups of 20 vectors
        Index(matcher, test, kind="IVF32,Flat")
    index = Index(matcher, test)
    with pytest.raises(ValueError, match="the query is a ndarray; images are searched with a sentence"):
        index.search(test[0].regions)
    with pytest.raises(ValueError, match="count is 0"):
        index.search("a red dog", 0)
    captions = Index(matcher, test, of="captions")
    for regions in (test[0].regions[0], test[0].regions[:0], test[0].regions[:, 1:]):
        with pytest.raises(ValueError, match=r"the query has shape .*; expected regions \(R, 12\), at least one"):
            captions.search(regions)
    with pytest.raises(ValueError, match="the query has NaN or infinity"):
        captions.search(np.full_like(test[0].regions, np.nan))
    with pytest.raises(ValueError, match=r"the sentence is ' \.'; expected at least one word"):
        index.search(" .")


def test_without_faiss_the_error_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "faiss":
            raise ImportError("no module named faiss")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'vsrpp_lite\[search\]'"):
        nearest_index(np.eye(3, dtype=np.float32), "Flat")


def test_nearest_vectors_by_hand():
    """Of (1, 0), (0, 1) and (0.6, 0.8), the nearest to (0, 1) are the second and the third."""
    index = nearest_index(np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32), "Flat")
    scores, found = index.search(np.array([[0, 1]], dtype=np.float32), 2)
    assert found.tolist() == [[1, 2]]
    np.testing.assert_allclose(scores, [[1, 0.8]], atol=1e-6)


def test_with_few_candidates_the_second_stage_chooses_among_them():
    """One sentence, three pictures: the first score proposes 0, 1 and then 2; the whole score likes 2 best."""
    first, whole = np.array([[0.9], [0.5], [0.4]]), np.array([[0.1], [0.6], [0.8]])
    assert [two_stage(first, whole, count).tolist() for count in (1, 2, 3)] == [[0], [1], [2]]
    for count in (0, -1):
        with pytest.raises(ValueError, match="expected at least 1"):
            two_stage(first, whole, count)


def test_work_by_hand():
    """With D = 2, R = 3, W = 5 a pair takes 2 + 2 * 3 * 5 * 2 = 62 multiplications."""
    assert multiplications(10, 4, embed=2, regions=3, words=5) == (620, 20 + 4 * 62)


def test_regions_of_a_file(searched, tmp_path):
    _, test = searched
    np.save(tmp_path / "mine.npy", test[2].regions)
    np.testing.assert_array_equal(regions_of(tmp_path / "mine.npy", test), test[2].regions)
    np.save(tmp_path / "wrong.npy", np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"found an array \(3, 5\); expected \(regions, 12\)"):
        regions_of(tmp_path / "wrong.npy", test)
    np.save(tmp_path / "wrong.npy", np.full((3, 12), np.nan))
    with pytest.raises(ValueError, match=r"wrong.npy: row 0 holds NaN"):
        regions_of(tmp_path / "wrong.npy", test)
    (tmp_path / "empty.npy").touch()
    with pytest.raises(ValueError, match=r"empty.npy: begins with b''"):
        regions_of(tmp_path / "empty.npy", test)
    with pytest.raises(FileNotFoundError, match=r"none.jpg: missing"):
        regions_of(tmp_path / "none.jpg", test)
    (tmp_path / "strange.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"strange.jpg: expected a picture of"):
        regions_of(tmp_path / "strange.jpg", test)


def test_the_command(run, tmp_path, monkeypatch):
    run.fit()
    test = run.dataset("test")
    answered = CliRunner().invoke(app, ["search", run.folder.name, test.captions[0], "--count", "3"])
    assert answered.exit_code == 0, answered.output
    assert len(answered.output.splitlines()) == 3
    everything = Index(run.fit().matcher(), test).search(test.captions[0], 3, candidates=len(test))
    assert [float(line.split()[1]) for line in answered.output.splitlines()] == [round(x.score, 3) for x in everything]
    np.save(tmp_path / "mine.npy", test[2].regions)
    answered = CliRunner().invoke(app, ["search", str(run.folder), "--image", str(tmp_path / "mine.npy")])
    assert len(answered.output.splitlines()) == 5
    assert CliRunner().invoke(app, ["search", run.folder.name]).exit_code == 2
    with monkeypatch.context() as patch:
        patch.setattr(Matcher, "encode_images", None)  # a sentence without a word is refused before any picture is read
        told = CliRunner().invoke(app, ["search", run.folder.name, "???"]).output
    assert "the sentence is '???'; expected at least one word" in told
    told = CliRunner().invoke(app, ["search", run.folder.name, "a red zzz and a qqq"]).output
    assert "the model does not know zzz, qqq\n" in told
    lost = CliRunner().invoke(app, ["search", "nothing", "a dog"])
    assert lost.exit_code == 1
    assert "missing" in lost.output
