"""The questions: five per lesson and an inventory of twenty, one right answer each; a wrong one names the mistake."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from vsrpp_lite.teaching.quiz import QUESTION, form

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
OF_LESSONS, OF_ALL = (
    QUESTION.findall((NOTEBOOKS / name).read_text(encoding="utf-8")) for name in ("questions.md", "inventory.md")
)
QUESTIONS = OF_LESSONS + OF_ALL
CHOICE = re.compile(r"<details><summary>([A-C])\. (.+?)</summary>(.+?)</details>")


def test_there_are_five_questions_for_each_lesson_and_twenty_for_the_course():
    lessons = (*range(8), 9, 10, 11)
    assert [number for number, _ in OF_LESSONS] == [f"{lesson}.{k}" for lesson in lessons for k in range(1, 6)]
    assert [number for number, _ in OF_ALL] == [f"I.{k}" for k in range(1, 21)]


def test_the_inventory_says_for_each_question_which_lesson_treats_it():
    table = (NOTEBOOKS / "inventory.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (I\.\d+) \| [^|]+ \| (.+) \|$", table, re.MULTILINE)
    assert [number for number, _ in rows] == [number for number, _ in OF_ALL]
    for _, lessons in rows:
        names = re.findall(r"\((\w+\.ipynb)\)", lessons)
        assert names and all((NOTEBOOKS / name).exists() for name in names)


def test_a_lesson_asks_its_questions_at_its_end():
    paths = list((NOTEBOOKS / "src").glob("[01][0-9]_*.py"))
    assert len(paths) == 12
    for path in paths:
        lesson = int(path.stem[:2])
        asked = re.findall(r"^quiz\((\d+)\)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert asked == ([] if lesson == 8 else [str(lesson)])


@pytest.mark.parametrize(("number", "question"), QUESTIONS)
def test_one_answer_is_right_and_the_others_say_what_is_misunderstood(number, question):
    choices = CHOICE.findall(question)
    assert [letter for letter, _, _ in choices] == ["A", "B", "C"]
    told = [answer for _, _, answer in choices]
    assert sum(answer.startswith("<b>Right.</b> ") for answer in told) == 1
    for answer in told:
        assert answer.startswith(("<b>Right.</b> ", "Wrong", "Possible")) and len(answer) > 40


def test_the_letter_of_the_right_answer_gives_nothing_away():
    for asked in (OF_LESSONS, OF_ALL):
        choices = [choice for _, question in asked for choice in CHOICE.findall(question)]
        letters = Counter(letter for letter, _, answer in choices if "Right." in answer)
        assert max(letters.values()) - min(letters.values()) <= 3


def test_a_choice_gives_a_reason_only_where_the_right_choice_does():
    """Else a student who strikes out every choice with a reason would do well without knowing anything."""
    written = [(number, CHOICE.findall(question)) for number, question in QUESTIONS]
    asked = [(number, {text: "Right." in answer for _, text, answer in choices}) for number, choices in written]
    predictions = tomllib.loads((NOTEBOOKS / "predictions.toml").read_text(encoding="utf-8"))
    for number, prompt in predictions.items():
        asked.append((number, {text: k == prompt["right"] for k, text in enumerate(prompt["choices"], start=1)}))
    assert len(asked) > 150
    for number, choices in asked:
        reasons = [right for text, right in choices.items() if re.search(r"\b(since|because)\b", text)]
        assert not reasons or True in reasons, number


def test_the_form_of_the_inventory_has_all_questions_and_no_answer():
    text = form()
    assert text.count("**I.") == 20 and text.count("- [ ] ") == 60
    assert "Right." not in text and "Wrong" not in text
