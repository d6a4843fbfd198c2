"""Prompts: a prompt asks for a prediction, and it hides the right answer until the reader has chosen an answer.

The prompts stand in `notebooks/predictions.toml`. Where no kernel runs, on a site or in a preview, a prompt is a folded
block: HTML that stands beside the widget in the same output.
"""

import html
import tomllib
from dataclasses import dataclass
from functools import cache

import ipywidgets

from vsrpp_lite.files import notebooks_folder
from vsrpp_lite.show.still import Still


@dataclass(frozen=True)
class Prompt:
    """A question that comes before the cell that answers it."""

    asks: str
    choices: tuple[str, ...]
    right: int
    """The right choice, from 1."""
    reveal: str


@cache
def prompts() -> dict[str, Prompt]:
    """Return all prompts by their numbers, such as "1.2": the second one of lesson 1."""
    found = tomllib.loads((notebooks_folder() / "predictions.toml").read_text(encoding="utf-8"))
    return {number: Prompt(**entry | {"choices": tuple(entry["choices"])}) for number, entry in found.items()}


def predict(number: str) -> "Prediction":
    """Return the prompt with this number as a widget.

    Raises:
        KeyError: there is no such prompt.
    """
    known = prompts()
    if number not in known:
        raise KeyError(f"there is no prompt {number!r}; the prompts are {', '.join(known)}")
    return Prediction(number, known[number])


class Prediction(Still):
    """A prompt: its choices, a button that commits the chosen one, and the reveal, which shows after that."""

    def __init__(self, number: str, prompt: Prompt):
        escaped = [html.escape(text, quote=False) for text in (prompt.asks, prompt.reveal, *prompt.choices)]
        asks, reveal, *choices = f"<b>Predict {number}.</b> {escaped[0]}", *escaped[1:]
        right = choices[prompt.right - 1]
        listed = "".join(f"<li>{choice}</li>" for choice in choices)
        folded = (
            f"<p>{asks}</p><ul>{listed}</ul><details><summary>Choose one, and then open the answer</summary>"
            f"<p><b>{right}.</b> {reveal}</p></details>"
        )
        self.choice = ipywidgets.RadioButtons(
            options=list(prompt.choices), index=None, layout={"width": "max-content", "max_width": "100%"}
        )
        self.commit = ipywidgets.Button(description="Commit", disabled=True)
        self.reveal = ipywidgets.HTML()
        question = ipywidgets.HTML(f"<p style='line-height: 1.4'>{asks}</p>")
        super().__init__([question, self.choice, self.commit, self.reveal], folded)
        self.choice.observe(self._chosen, "index")
        self.commit.on_click(lambda _: self._committed(prompt.right - 1, right, reveal))

    def _chosen(self, _: dict) -> None:
        self.commit.disabled = self.choice.index is None

    def _committed(self, index: int, right: str, reveal: str) -> None:
        """Keep the answer as it is, and show the reveal."""
        self.choice.disabled = self.commit.disabled = True
        as_predicted = self.choice.index == index
        verdict = "As you predicted." if as_predicted else f"You predicted otherwise; it is: {right}."
        self.reveal.value = f"<p style='line-height: 1.4'><b>{verdict}</b> {reveal}</p>"
