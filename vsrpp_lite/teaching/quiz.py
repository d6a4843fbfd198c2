"""The questions at the end of a lesson, from `notebooks/questions.md`, as a widget that marks itself."""

import html
import re
from dataclasses import dataclass

import ipywidgets

from vsrpp_lite.files import notebooks_folder
from vsrpp_lite.show.still import Still

QUESTION = re.compile(r"^\*\*(\w+\.\d+)\.\*\* (.*?)(?=^\*\*\w+\.\d+\.\*\*|^## |\Z)", re.MULTILINE | re.DOTALL)
CHOICE = re.compile(r"<details><summary>[A-C]\. (.+?)</summary>(.+?)</details>")


@dataclass(frozen=True)
class Question:
    """A question with three choices, and what there is to say about each of them. Both are HTML."""

    number: str
    asks: str
    choices: tuple[str, ...]
    answers: tuple[str, ...]


def form() -> str:
    """Return the questions of the concept inventory with their choices and without the answers, as Markdown."""
    asked = _read("inventory.md", "I")
    lines = [
        [f"**{question.number}.** {question.asks}", *(f"- [ ] {choice}" for choice in question.choices)]
        for question in asked
    ]
    return "\n\n".join(f"{first}\n\n" + "\n".join(rest) for first, *rest in lines) + "\n"


def questions(lesson: int) -> list[Question]:
    """Return the questions of a lesson.

    Raises:
        ValueError: the lesson has no questions.
    """
    return _read("questions.md", str(lesson))


def _read(file: str, group: str) -> list[Question]:
    text = (notebooks_folder() / file).read_text(encoding="utf-8")
    found = []
    for number, body in QUESTION.findall(text):
        if number.split(".")[0] == group:
            choices, answers = zip(*CHOICE.findall(body))
            asks = re.sub(r"\*(\w[^*]*)\*", r"<i>\1</i>", body.split("<details>")[0].strip())
            found.append(Question(number, re.sub(r"`([^`]+)`", r"<code>\1</code>", asks), choices, answers))
    if not found:
        raise ValueError(f"{file} has no questions on lesson {group}")
    return found


def quiz(lesson: int) -> Still:
    """Return the questions of a lesson as a widget: an answer is explained as soon as it is chosen.

    Raises:
        ValueError: the lesson has no questions.
    """
    asked = questions(lesson)
    counted = ipywidgets.HTML()
    right: dict[str, bool] = {}

    def item(question: Question) -> ipywidgets.VBox:
        plain = [html.unescape(re.sub(r"<[^>]+>", "", choice)) for choice in question.choices]
        choice = ipywidgets.RadioButtons(options=plain, index=None, layout={"width": "max-content"})
        told = ipywidgets.HTML()

        def answered(change: dict) -> None:
            answer = question.answers[change["new"]]
            told.value = f"<p style='line-height: 1.4'>{answer}</p>"
            right.setdefault(question.number, answer.startswith("<b>Right.</b>"))  # the first answer counts
            counted.value = f"{sum(right.values())} of {len(right)} right at the first try"

        choice.observe(answered, "index")
        asks = ipywidgets.HTML(f"<p style='line-height: 1.4'><b>{question.number}.</b> {question.asks}</p>")
        return ipywidgets.VBox([asks, choice, told])

    folded = "".join(
        f"<p><b>{question.number}.</b> {question.asks}</p>"
        + "".join(
            f"<details><summary>{letter}. {choice}</summary>{answer}</details>"
            for letter, choice, answer in zip("ABC", question.choices, question.answers)
        )
        for question in asked
    )
    return Still([*map(item, asked), counted], folded)
