"""What a reader does in a lesson: predict, solve an exercise and check it, answer the questions at the end.

`predict("1.1")` shows a prompt, `check.lesson1.exercise1(...)` judges an answer, and `quiz(1)` asks five questions.
"""

from vsrpp_lite.teaching import check
from vsrpp_lite.teaching.prompts import predict
from vsrpp_lite.teaching.quiz import quiz

__all__ = ["check", "predict", "quiz"]
