"""What grading finds out about a submission."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One question of one submission."""

    question: str
    points: float
    max: float
    status: str
    """One of: passed, in part, failed, not answered, not reached, to be read, by hand, hidden, not graded."""
    remark: str = ""


@dataclass
class Graded:
    """One graded submission: its questions, and remarks for the student."""

    student: str
    assignment: str
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Text of each written answer."""
    score: dict | None = None
    """Rows of the leaderboard for a capstone and its rivals; None if there is no score."""

    @property
    def points(self) -> float:
        """Return the sum of points over all questions graded so far."""
        return sum(row.points for row in self.rows)

    @property
    def out_of(self) -> float:
        """Return the most points that the submission could get."""
        return sum(row.max for row in self.rows)
