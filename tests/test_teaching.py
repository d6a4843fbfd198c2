"""Prompts, checks and questions: a right answer is right, a typical mistake is named, and a stub stays a stub."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import vsrpp_lite as vl
from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.scenes.probes import Probe
from vsrpp_lite.data.scenes.truth import scenes
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.info_nce import InfoNCE
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.paper.study import authors
from vsrpp_lite.teaching import check, predict, prompts, quiz
from vsrpp_lite.teaching.compare import compare
from vsrpp_lite.teaching.quiz import questions
from vsrpp_lite.training.metrics import ranks, recalls
from vsrpp_lite.two_stage import two_stage

TOY = check.lesson1.TOY
NOT_YET = "Not answered yet"


def attend(regions, over=-1):
    return (regions @ regions.T / 3).softmax(over) @ regions


def nothing(regions, mask):
    return regions.new_zeros(len(regions), regions.shape[1], regions.shape[1])


@dataclass(frozen=True, kw_only=True)
class Silent(vl.VSRpp):
    """VSR++ without messages, in one of several ways."""

    by: str = "affinity"

    def build(self, tokenizer, feature_size, sizes):
        matcher = super().build(tokenizer, feature_size, sizes)
        for layer in matcher.images.reason.layers:
            if self.by == "affinity":
                layer.affinity = nothing
            elif self.by == "no layer at all":
                layer.forward = lambda regions, mask: regions
            else:
                torch.nn.init.zeros_(layer.update.weight).requires_grad_(self.by == "weights that start at zero")
        return matcher


@dataclass(frozen=True, kw_only=True)
class Soft(vl.VSRpp):
    """VSR++ with the loss of CLIP."""

    temperature: float = 0.21
    looks_at: str = "the whole"
    weight: float = 128.0

    def build(self, tokenizer, feature_size, sizes):
        matcher = super().build(tokenizer, feature_size, sizes)
        whole = matcher.similarity
        scores = {"the whole": whole, "the mean": lambda *both: whole(*both) / (1 + self.mu), "cosine": cosine}
        score = scores[self.looks_at]
        matcher.losses["ranking"] = InfoNCE(score, temperature=self.temperature)
        matcher.losses["ranking"].weight = self.weight
        return matcher


def shuffle(regions, mask, at_random=True, whole=True):
    keys = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0))
    keys = keys if at_random else torch.arange(mask.shape[1], 0, -1).float().expand(mask.shape)
    keys = keys.masked_fill(~mask, 9) if whole else keys
    return regions.gather(1, keys.argsort(1)[:, :, None].expand_as(regions))


def normalised(affinities, slope, dim=1):
    clipped = torch.where(affinities > 0, affinities, slope * affinities)
    return clipped / (clipped.norm(dim=dim, keepdim=True) + 1e-8)


def chosen_mu(best, metrics=("rsum",)):
    def choose(global_scores, local_scores, where, mus):
        def judge(mu):
            found = recalls(*ranks(global_scores + mu * local_scores, where), where)
            return sum(found[metric] for metric in metrics)

        return best(mus, key=judge)

    return choose


def pair_costs(axis, mean=False, repeated=True):
    def costs(train, test, size):
        counts = np.full((size, size), 0.1)
        for ids in train:
            if repeated:
                np.add.at(counts, (ids[:-1], ids[1:]), 1)
            else:
                counts[ids[:-1], ids[1:]] += 1
        logs = np.log(counts / counts.sum(axis, keepdims=True))
        each = [-logs[ids[:-1], ids[1:]] for ids in test]
        return [part.mean() if mean else part.sum() for part in each]

    return costs


def groups(query, vectors, centres, nprobe, sign=1, places=True):
    group = (vectors @ centres.T).argmax(1)
    members = np.flatnonzero(np.isin(group, np.argsort(-(centres @ query))[:nprobe]))
    order = np.argsort(-sign * (vectors[members] @ query))
    order = order[:10] if sign == 1 else order[-10:]
    return members[order] if places else order


def run(**changed):
    start = vl.Run(system=vl.VSRpp(caption_loss=False, bidirectional=False), data="scenes", preset="lite", seed=0)
    training = {"epochs": 3, "warmup_epochs": 0} | changed.pop("training", {})
    return replace(start, training=replace(start.settings.training, **training), **changed)


GLOBAL = vl.Run(system=vl.VSRpp(fusion="global", caption_loss=False, bidirectional=False))
torch.manual_seed(0)
DECODER, STATES, IDS = CaptionDecoder(5, 3, 4, 4), torch.randn(2, 4), torch.tensor([1, 4, 3, 2])


def looks(decoder):
    """The attention of a decoder, step by step, as lesson 5 computes it before any saving."""
    states, hidden = (part[0] for part in decoder.reader(decoder.squeeze(STATES[None])))
    found = []
    for before in IDS[:-1]:
        keys = decoder.attend_regions(states) + decoder.attend_state(hidden)
        found.append(decoder.attend_score(torch.tanh(keys))[:, 0].softmax(0))
        hidden = decoder.cell(torch.cat([decoder.embedding(before), found[-1] @ states])[None], hidden)
    return torch.stack(found).detach()


def fates(query):
    """What became of the nouns of each query of `PLACES`."""
    return pd.Series({0: ["2 detected, not attended"], 2: ["3 attended"], 3: ["3 attended"]}[query], index=["dog"])


PLACES = pd.DataFrame({"VSR++": [1, 1, 7, 9, 30], "VSRN": [2, 5, 2, 1, 2]})
SHARES = torch.softmax(2 * check.lesson10.S / check.lesson10.TAU, 1).diagonal()
SHARES_T = torch.softmax(2 * check.lesson10.S.T / check.lesson10.TAU, 1).diagonal()
LN2 = math.log(2)
FEATURES = torch.tensor([[1.0, 5.0], [3.0, 2.0], [2.0, 8.0]])
SUMS = pd.DataFrame({"row": ["a", "b", "c"], "rsum_paper": [10.0, 12.0, 20.0], "rsum": [3.0, 1.0, 2.0]})
PROTOCOLS = pd.DataFrame({"row": ["a", "b"], "rsum": [2.0, 1.0], "rsum_5k": [1.0, 2.0]})
JOINT = {"rsum": 400.0}
ONE = pd.DataFrame(
    {"hi": [5.0, 6.0], "verdict": ["reproduced", "reproduced"]}, index=pd.Index(["first", "second"], name="claim")
)
TWO = ONE.assign(hi=[9.0, 6.5], verdict=["inconclusive", "reproduced"])
AFTER = pd.DataFrame({"rsum": {"S_G": 300.0, "S_L": 350.0, "S_G + 2 S_L": 390.0}})
ERRS, SURE = torch.tensor([[0.5, 0.6], [0.0, 0.9]]), torch.tensor([[0.9, 0.1], [0.0, 0.9]])

RIGHT = [
    (check.lesson0.exercise1, (75.0, 100.0)),
    (check.lesson1.exercise1, (torch.tensor(0.25), torch.tensor([0.75, 0.5]))),
    (check.lesson1.exercise1, (0.25, (0.75, 0.5))),
    (check.lesson1.exercise2, (attend,)),
    (check.lesson1.exercise3, (Silent(),)),
    (check.lesson1.exercise3, (Silent(by="weights that stay zero"),)),
    (check.lesson2.exercise1, (0.13, 0.13, 0.07)),
    (check.lesson2.exercise2, (shuffle,)),
    (check.lesson2.exercise3, (run(), GLOBAL)),
    (check.lesson3.exercise1, ("text retrieval", "image retrieval")),
    (check.lesson3.exercise2, (normalised,)),
    (check.lesson3.exercise3, (lambda i, t: cross_attention(i, t, direction="i2t", temperature=4.0),)),
    (check.lesson4.exercise1, (0.25, 8)),
    (check.lesson4.exercise2, (chosen_mu(max),)),
    (check.lesson4.exercise3, (ERRS, SURE)),
    (check.lesson4.exercise3, (ERRS.tolist(), SURE.numpy())),
    (check.lesson4.exercise3, ([[0.5, 0.6], [0.3, 0.3]], [[0.9, 0.1], [0.3, 0.3]])),  # picture 0 alone is an example
    (check.lesson5.exercise1, (4.5 * LN2,)),
    (check.lesson5.exercise2, (pair_costs(1),)),
    (check.lesson5.exercise3, (looks(DECODER), DECODER, STATES, IDS)),
    (check.lesson6.exercise1, ([0], PLACES)),
    (check.lesson6.exercise2, ([2, 3], PLACES, fates)),
    (check.lesson6.exercise3, (40, PLACES, np.array([3, 40, 90, 1, 1]))),
    (check.lesson7.exercise1, (2,)),
    (check.lesson7.exercise2, (0.37,)),
    (check.lesson7.exercise3, (7.5, 10.6)),
    (check.lesson8.exercise1, (10,)),
    (check.lesson8.exercise2, (0.625,)),
    (check.lesson8.exercise3, (2500,)),
    (check.lesson9.exercise1, (1, 0.25, 0.5)),
    (check.lesson10.exercise1, (SHARES, SHARES_T)),
    (check.lesson10.exercise1, ([0.798, 0.19, 0.996], SHARES_T)),
    (check.lesson10.exercise1, ([0.8, 0.19, 1.0], [0.98, 0.19, 0.94])),
    (check.lesson10.exercise3, (Soft(),)),
    (check.lesson10.exercise3, (Soft(looks_at="the mean", temperature=0.07),)),
    (check.lesson11.exercise1, (1156,)),
    (check.lesson11.exercise2, (groups,)),
    (check.lesson11.exercise3, (lambda first, whole, own, k: 100 * (two_stage(first, whole, k) == own).mean(),)),
    (check.own_system.exercise1, (torch.tensor([2.5, 6.5]), FEATURES)),
    (check.table1.exercise1, (("b", "a"), 2 * (9.8 / 2) ** 2, SUMS)),
    (check.table1.exercise2, (10.0, JOINT, AFTER)),
    (check.table1.exercise3, (["first"], ONE, TWO)),
    (check.table2.exercise1, (98,)),
    (check.table2.exercise2, (vl.VSRpp(mu=2.0, margin=0.02),)),
    (check.table3.exercise1, (0.03125,)),
    (check.table3.exercise3, (False, PROTOCOLS)),
    (check.table4.exercise1, ([("SAEM", "GVSE-style"), ("VSRN", "SAEM")],)),
    (check.table4.exercise1, ([["SAEM", "GVSE"], ["SAEM", "VSRN"]],)),
    (check.table4.exercise2, ((vl.VSRpp(fusion="local"), vl.VSRpp(fusion="global")),)),
]

WRONG = [
    (check.lesson0.exercise1, (50, 100), "before the change"),
    (check.lesson0.exercise1, (75, 75), "column 2"),
    (check.lesson0.exercise1, (math.nan, 100), "nan is not the number"),
    (check.lesson1.exercise1, (1 / 3, (0.75, 0.5)), "divided by their number"),
    (check.lesson1.exercise1, (0.25, (0.5, 0.25)), "Both balls send"),
    (check.lesson1.exercise2, (lambda regions: attend(regions, over=0),), "over a row"),
    (check.lesson1.exercise2, (lambda regions: (regions @ regions.T / 3) @ regions,), "without a softmax"),
    (check.lesson1.exercise2, (lambda regions: 1 / 0,), "ZeroDivisionError"),
    (check.lesson1.exercise2, (lambda regions: (regions @ regions.T).softmax(-1) @ regions,), "before the softmax"),
    (check.lesson1.exercise2, (lambda regions: 3 * regions,), "position (2, 1), counted from 0"),
    (check.lesson1.exercise2, (3,), "The answer is a function"),
    (check.lesson1.exercise3, (vl.VSRpp(),), "some message still passes"),
    (check.lesson1.exercise3, (Silent(by="weights that start at zero"),), "training moves these weights"),
    (check.lesson1.exercise3, (Silent(by="no layer at all"),), "no layers"),
    (check.lesson2.exercise1, (0.4, 0.4, 0.2), "the sum over the queries"),
    (check.lesson2.exercise2, (lambda r, m: shuffle(r, m, at_random=False),), "another order for each picture"),
    (check.lesson2.exercise2, (lambda r, m: shuffle(r, m, whole=False),), "moved to the front"),
    (check.lesson2.exercise2, (lambda r, m: r,), "still the old one"),
    (check.lesson2.exercise2, (lambda r, m: r.flip(2),), "move whole regions"),
    (check.lesson2.exercise2, (lambda r, m: torch.cat([r[:1].roll(1, 1), r[1:]]),), "Few of the pictures without"),
    (check.lesson2.exercise2, (lambda r, m: torch.where(m.all(1)[:, None, None], shuffle(r, m), r),), "with missing"),
    (check.lesson2.exercise3, (run(training={"warmup_epochs": 1}), GLOBAL), "still warms up"),
    (check.lesson2.exercise3, (run(system=vl.VSRpp()), GLOBAL), "caption loss"),
    (check.lesson2.exercise3, (run(system=vl.VSRpp(caption_loss=False)), GLOBAL), "Bi-GRU"),
    (check.lesson2.exercise3, (run(training={"learning_rate": 1e-5}), GLOBAL), "more than the warm-up"),
    (check.lesson2.exercise3, (run(system=replace(run().system, mu=0.25)), GLOBAL), "more than the fusion"),
    (check.lesson2.exercise3, (run(seed=7), GLOBAL), "data, preset, seed or sizes"),
    (check.lesson2.exercise3, (run(data="scenes-tuning"), GLOBAL), "data, preset, seed or sizes"),
    (check.lesson3.exercise1, ("image retrieval", "image retrieval"), "number of words"),
    (check.lesson3.exercise2, (lambda s, slope: normalised(s, slope, dim=0),), "over the regions"),
    (check.lesson3.exercise2, (lambda s, slope: s / s.norm(dim=1, keepdim=True),), "multiply them by the slope"),
    (check.lesson3.exercise3, (lambda i, t: cross_attention(i, t, temperature=4.0),), "Words ask here"),
    (check.lesson4.exercise1, (0.0, 8), "Picture 0"),
    (check.lesson4.exercise2, (chosen_mu(min),), "the largest"),
    (check.lesson4.exercise2, (chosen_mu(max, ["t2i_r1"]),), "all six recalls"),
    (check.lesson4.exercise2, (chosen_mu(max, ["i2t_r1", "t2i_r1"]),), "all six recalls"),
    (check.lesson4.exercise2, (lambda g, s, _, mus: chosen_mu(max)(g, s, np.arange(len(_)) % len(g), mus),), "rsum"),
    (check.lesson4.exercise3, (ERRS, ERRS), "surer"),
    (check.lesson4.exercise3, (ERRS, [[0.6, 0.3], [0.0, 0.9]]), "(1 + mu) alpha = 0.4"),
    (check.lesson4.exercise3, (SURE, SURE), "must err"),
    (check.lesson5.exercise1, (3.5 * LN2,), "without the padding"),
    (check.lesson5.exercise2, (pair_costs(0),), "normalised over the word before"),
    (check.lesson5.exercise2, (pair_costs((0, 1)),), "*given* the one before"),
    (check.lesson5.exercise2, (pair_costs(1, mean=True),), "Sum over a caption"),
    (check.lesson5.exercise2, (pair_costs(1, repeated=False),), "`np.add.at`"),
    (check.lesson5.exercise3, (torch.ones(3, 2), DECODER, STATES, IDS), "sum to one"),
    (check.lesson5.exercise3, (np.full((3, 2), 0.5, "f4"), DECODER, STATES, IDS), "not the weights of this decoder"),
    (check.lesson5.exercise3, (looks(CaptionDecoder(5, 3, 4, 4)), DECODER, STATES, IDS), "not the weights of this"),
    (check.lesson5.exercise3, (torch.ones(2, 2), DECODER, STATES, IDS), "3 words by 2 regions"),
    (check.lesson6.exercise1, ([0, 1], PLACES), "Query 1 is not"),
    (check.lesson6.exercise2, ([2, 4], PLACES, fates), "place 30"),
    (check.lesson6.exercise2, ([2, 2], PLACES, fates), "two different"),
    (check.lesson6.exercise2, ([2, 3], PLACES, lambda query: fates(0)), "'dog' is detected, not attended"),
    (check.lesson6.exercise3, (39, PLACES, np.array([3, 40, 90, 1, 1])), "begin at 0"),
    (check.lesson6.exercise3, (90, PLACES, np.array([3, 40, 90, 1, 1])), "ranks first"),
    (check.lesson6.exercise3, (1, PLACES, PLACES["VSR++"].to_numpy()), "the same seed"),
    (check.lesson6.exercise3, (5, PLACES, PLACES["VSRN"].to_numpy()), "the ranks of VSRN"),
    (check.lesson7.exercise1, (4,), "√2"),
    (check.lesson7.exercise2, (0.45,), "do not add up"),
    (check.lesson7.exercise2, (37,), "from 0 to 1"),
    (check.lesson7.exercise3, (7.5, 7.5), "four settings"),
    (check.lesson8.exercise1, (6,), "edges count"),
    (check.lesson8.exercise1, (9,), "One box is missing"),
    (check.lesson8.exercise2, (0.25,), "does not depend on the height"),
    (check.lesson8.exercise2, (0.75,), "the right edge"),
    (check.lesson8.exercise3, (50,), "square root"),
    (check.lesson9.exercise1, (1, 0.5, 0.5), "the precision is one half"),
    (check.lesson9.exercise1, (1, 1, 0.5), "two slips"),
    (check.lesson9.exercise1, (1, 0.25, 1), "Divide by R"),
    (check.lesson9.exercise1, (1, 0.25, (1 + 2 / 9) / 2), "place 9"),
    (check.lesson10.exercise1, (SHARES**0.5, SHARES_T), "position"),
    (check.lesson10.exercise1, (100 * SHARES, SHARES_T), "not per cent"),
    (check.lesson10.exercise3, (Soft(temperature=0.07),), "How wide is the range"),
    (check.lesson10.exercise3, (vl.VSRpp(),), "is Hinge"),
    (check.lesson10.exercise3, (Soft(weight=1.0),), "Give it the same weight"),
    (check.lesson10.exercise3, (vl.VSEpp(),), "a subclass of VSRpp"),
    (check.lesson10.exercise3, (Soft(looks_at="cosine"),), "The loss looks at another score"),
    (check.lesson11.exercise1, (1e6 / (1 + 36 * 12),), "meets each region twice"),
    (check.lesson11.exercise2, (lambda *asked: groups(*asked, sign=-1),), "worst first"),
    (check.lesson11.exercise2, (lambda *asked: groups(*asked, places=False),), "positions within the open groups"),
    (
        check.lesson11.exercise3,
        (lambda f, w, own, k: 100 * (w.argmax(0) == own).mean(),),
        "Every picture is a candidate",
    ),
    (check.own_system.exercise1, (torch.tensor([5.0, 13.0]), FEATURES), "sum of the two"),
    (check.table1.exercise1, (("b", "c"), 1, SUMS), "least step is 2.0"),
    (check.table1.exercise1, (("b", "a"), (9.8 / 2) ** 2, SUMS), "factor 2"),
    (check.table1.exercise2, (-10.0, JOINT, AFTER), "round"),
    (check.table1.exercise3, ([], ONE, TWO), "another verdict, too: first"),
    (check.table1.exercise3, (["first", "second"], ONE, TWO), "same verdict both times: second"),
    (check.table1.exercise3, (["first"], ONE, ONE), "range(2)"),
    (check.table1.exercise3, (["first"], 5, 4), "frame of TABLE1.verdicts"),
    (check.table2.exercise1, (49,), "factor 2"),
    (check.table2.exercise2, (vl.VSRpp(mu=1.0, margin=0.02),), "Leave mu"),
    (check.table2.exercise2, (vl.VSRpp(mu=2.0, margin=0.02, caption_loss=False),), "more than the margin"),
    (check.table3.exercise1, (0.1,), "all five contests"),
    (check.table3.exercise3, (True, PROTOCOLS), "Compare the two orders"),
    (check.table4.exercise1, ([("SAEM", "GVSE")],), "there are 2"),
    (check.table4.exercise2, ((vl.SCAN(), vl.VSEpp()),), "another sentence GRU"),
    (check.table4.exercise2, ((vl.VSRpp(fusion="local", margin=0.4), vl.VSRpp(fusion="global")),), "another part"),
]


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_a_right_answer_is_right(exercise, answer):
    verdict = exercise(*answer)
    assert verdict, verdict
    assert repr(verdict).startswith("✓ Right. ")


@pytest.mark.parametrize(("exercise", "answer", "says"), WRONG)
def test_a_typical_mistake_is_named(exercise, answer, says):
    verdict = exercise(*answer)
    assert not verdict
    assert repr(verdict).startswith("✗ Not yet. ")
    assert says in verdict.says


TRAINED = """lesson0.exercise2 lesson0.exercise3 lesson9.exercise2 lesson9.exercise3 lesson9.exercise4
    lesson10.exercise2 own_system.exercise2 table2.exercise3 table3.exercise2 table4.exercise3"""
"""Their answers depend on data or on a trained model: the solutions in the notebooks test them."""


def test_every_check_has_a_right_and_a_wrong_answer_here():
    tested = {exercise for exercise, _ in RIGHT} & {exercise for exercise, *_ in WRONG}
    untested = set()
    for name in check.__all__:
        found = {key: value for key, value in vars(getattr(check, name)).items() if re.fullmatch(r"exercise\d", key)}
        untested |= {f"{name}.{key}" for key, value in found.items() if value not in tested}
    assert untested == set(TRAINED.split())


def test_a_stub_is_not_answered_yet():
    assert check.lesson1.exercise1(..., ...).says.startswith(NOT_YET)
    assert check.lesson1.exercise2(lambda regions: ...).says.startswith(NOT_YET)
    assert check.lesson1.exercise2(lambda regions: None).says.startswith(NOT_YET)
    assert not check.lesson7.exercise1(...)


def test_an_answer_of_another_kind_is_told_so():
    assert "The answer is a number, and this is str" in check.lesson7.exercise1("three").says
    assert "The answer is a number, and this is Tensor" in check.lesson7.exercise1(torch.ones(2)).says
    assert check.lesson7.exercise1(np.array([2])) and check.lesson8.exercise2(
        torch.tensor([[0.625]], requires_grad=True)
    )


def test_the_gradient_by_the_log_of_a_temperature():
    """The loss is the mean of -log of the shares; by x = log(1 / tau), its derivative is a difference of means."""
    scores, tau = check.lesson10.S, check.lesson10.TAU
    each = [((m / tau).softmax(1) * m).sum(1) - m.diagonal() for m in (scores, scores.T)]
    gradient = float(torch.stack(each).mean()) / tau
    assert check.lesson10.exercise2(gradient)
    assert "sign" in check.lesson10.exercise2(-gradient).says
    assert "by 1 / tau" in check.lesson10.exercise2(gradient * tau).says


def test_a_probe_must_be_minimal_and_false(drawn):
    _, dev = drawn
    of_dev = scenes(dev)
    right = next(caption for caption in dev.captions if " small " in f" {caption} ")
    image = int(dev.caption_to_image[dev.captions.index(right)])
    pair = Probe("another size", image, right, right.replace("small", "gigantic", 1))
    assert "Exchange small and big" in check.lesson9.exercise3([pair], of_dev).says
    assert "more than one word" in check.lesson9.exercise3([replace(pair, wrong=right + " today")], of_dev).says
    assert "There are no pairs" in check.lesson9.exercise3([], of_dev).says


def test_compare_names_the_mistake_or_the_place():
    with pytest.raises(AssertionError, match=r"at position \(0, 1\) expected 2.0000, found 3.0000"):
        compare(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 2.0]]))
    with pytest.raises(AssertionError, match="doubled"):
        compare(torch.tensor([2.0]), torch.tensor([1.0]), {"it is doubled": torch.tensor([2.0])})


def test_compare_takes_every_kind_of_number_and_cuts_none_off():
    for one in (1, 1.0, np.int64(1), np.float32(1), torch.tensor(1)):
        compare(one, torch.tensor(1.0))
        compare(one, torch.tensor(1))
    with pytest.raises(AssertionError, match="expected numbers, found bool"):
        compare(True, torch.tensor(1.0))
    with pytest.raises(AssertionError, match=r"at position \(0,\) expected 1.0000, found 1.9000"):
        compare(torch.tensor([1.9, 0.4]), torch.tensor([1, 0]))


def test_a_prompt_keeps_its_reveal_until_an_answer_is_committed():
    number, prompt = next(iter(prompts.prompts().items()))
    widget = predict(number)
    assert widget.commit.disabled and widget.reveal.value == ""
    widget.choice.index = prompt.right % len(prompt.choices)  # a wrong one
    assert not widget.commit.disabled and widget.reveal.value == ""
    widget.commit.click()
    assert "You predicted otherwise" in widget.reveal.value
    assert widget.choice.disabled and widget.commit.disabled  # the answer is kept
    again = predict(number)
    again.choice.index = prompt.right - 1
    again.commit.click()
    assert "As you predicted." in again.reveal.value


def test_where_no_kernel_runs_a_prompt_is_a_folded_block():
    number = next(iter(prompts.prompts()))
    shown = predict(number)._repr_mimebundle_()["text/html"]
    before, folded = shown.split("<details>")
    assert f"Predict {number}." in before
    assert folded.endswith("</details>")
    with pytest.raises(KeyError, match=r"no prompt '99\.1'"):
        predict("99.1")


def test_every_lesson_has_its_prompts_and_every_prompt_is_asked():
    folder = Path(__file__).parent.parent / "notebooks" / "src"
    asked = [
        line.split('"')[1]
        for path in sorted(folder.glob("*.py"))
        for line in path.read_text().splitlines()
        if line.startswith('predict("')
    ]
    assert sorted(asked) == sorted(prompts.prompts())
    for lesson in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11):
        assert sum(number.startswith(f"{lesson}.") for number in asked) >= 8
    for prompt in prompts.prompts().values():
        assert len(prompt.choices) == 3 and prompt.right in (1, 2, 3)
        assert prompt.reveal.endswith(".")


def test_what_two_prompts_tell_of_the_study_is_what_it_recorded():
    """Prompt 7.7: VSR++ is sixth at its worst. 7.8: it alone is first by its own setting; three settings are best."""
    lines = pd.read_csv(recorded_folder() / "tuning" / "lite.csv")
    places = lines[lines["seed"] == 0].pivot(index="draw", columns="row", values="dev_rsum").rank(1, ascending=False)
    assert places["VSR++"].max() == 6
    claimed = authors(lines).set_index("system")
    assert claimed.index[claimed["rank by its own setting"] == 1].tolist() == ["VSR++"]
    best = sorted(set(claimed["best setting"]))
    assert len(best) == 3 and places.loc[best, "VSR++"].tolist() == [1, 1, 1]


def right_choices(lesson, position):
    return [answer.startswith("<b>Right.</b>") for answer in questions(lesson)[position].answers]


def test_the_first_answer_to_a_question_counts():
    widget = quiz(1)
    *items, counted = widget.children
    assert len(items) == 5
    _, choice, told = items[0].children
    right = next(k for k in range(3) if right_choices(1, 0)[k])
    choice.index = (right + 1) % 3
    assert told.value and "0 of 1 right" in counted.value
    choice.index = right
    assert "<b>Right.</b>" in told.value and "0 of 1 right" in counted.value
    items[1].children[1].index = next(k for k in range(3) if right_choices(1, 1)[k])
    assert "1 of 2 right" in counted.value
    with pytest.raises(ValueError, match="no questions on lesson 99"):
        quiz(99)
