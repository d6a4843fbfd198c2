"""The bank of questions: five per lesson, one right answer each, and every wrong one says what is misunderstood."""

import re
from collections import Counter
from pathlib import Path

import pytest

TEXT = (Path(__file__).parent.parent / "notebooks" / "questions.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^\*\*(\d\.\d)\.\*\* (.*?)(?=^\*\*\d\.\d\.\*\*|^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
CHOICE = re.compile(r"<details><summary>([A-C])\. (.+?)</summary>(.+?)</details>")


def test_there_are_five_questions_for_each_of_eight_lessons():
    assert [number for number, _ in QUESTIONS] == [f"{lesson}.{k}" for lesson in range(8) for k in range(1, 6)]


@pytest.mark.parametrize(("number", "question"), QUESTIONS)
def test_one_answer_is_right_and_the_others_say_what_is_misunderstood(number, question):
    choices = CHOICE.findall(question)
    assert [letter for letter, _, _ in choices] == ["A", "B", "C"]
    told = [answer for _, _, answer in choices]
    assert sum(answer.startswith("<b>Right.</b> ") for answer in told) == 1
    for answer in told:
        assert answer.startswith(("<b>Right.</b> ", "Wrong", "Possible")) and len(answer) > 40


def test_the_letter_of_the_right_answer_gives_nothing_away():
    letters = Counter(
        letter for _, question in QUESTIONS for letter, _, answer in CHOICE.findall(question) if "Right." in answer
    )
    assert all(12 <= letters[letter] <= 15 for letter in "ABC")
