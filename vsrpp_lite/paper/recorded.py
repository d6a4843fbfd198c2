"""What was measured at length and is kept with the notebooks: notebooks/recorded/*.csv, and the pages written from it.

RESULTS.md is made of a template and the recorded CSV files, so that no number in it is typed by hand. In the template a
line of double braces stands for a table, and braces inside a sentence for a number:

    {{table scenes-lite table1 i2t_r1 rsum}}          a measured table beside the published one, these metrics
    {{verdicts scenes-lite mine-lite}}                every claim, one column for each recorded set
    {{csv bench}}                                     a CSV file as it is
    {{value scenes-lite table4 VSR++ rsum}}           the mean of one row
    {{effect scenes-lite GRU local}}                  a difference of the clean ablation, with its interval
    {{fact scenes-lite commit}}                       an entry of facts.json
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from vsrpp_lite.files import home, notebooks_folder, write_text
from vsrpp_lite.paper.tables import beside, results_folder
from vsrpp_lite.training.evaluate import METRICS
from vsrpp_lite.training.provenance import provenance

TEMPLATE = "RESULTS.template.md"


def recorded_folder() -> Path:
    """notebooks/recorded."""
    return notebooks_folder() / "recorded"


def record(data: str) -> Path:
    """Keep the tables and claims of results/, with what made them, as notebooks/recorded/<data>-<preset>.

    Raises:
        FileNotFoundError: no tables were made of these data.
    """
    source = results_folder(data)
    tables = sorted((source / "tables").glob("*.csv"))
    if not tables:
        raise FileNotFoundError(f"{source / 'tables'}: no tables; run `make reproduce-tables` first")
    preset = pd.read_csv(next(path for path in tables if path.stem.startswith("table")))["preset"].iloc[0]
    target = recorded_folder() / f"{Path(data).name}-{preset}"
    target.mkdir(parents=True, exist_ok=True)
    for path in [*tables, source / "claims.csv"]:
        shutil.copyfile(path, target / path.name)
    write_text(target / "facts.json", json.dumps(provenance(), indent=2) + "\n")
    return target


def table(recorded: str, name: str, *metrics: str) -> str:
    """A recorded table as Markdown: measured ± half of the interval (published)."""
    measured = pd.read_csv(recorded_folder() / recorded / f"{name}.csv")
    return beside(measured, metrics or METRICS).to_markdown(index=False, disable_numparse=True)


def verdicts(*recorded: str) -> str:
    """Every claim with its difference, interval and verdicts, one column for each recorded set."""
    columns = {}
    for name in recorded:
        claims = pd.read_csv(recorded_folder() / name / "claims.csv")
        columns[name] = claims.set_index(["table", "claim"]).apply(_verdict, axis=1)
    return pd.DataFrame(columns).fillna("").reset_index().to_markdown(index=False, disable_numparse=True)


def _verdict(claim: pd.Series) -> str:
    together = "" if claim["verdict"] == claim["verdict_holm"] else f" ({claim['verdict_holm']} by Holm)"
    return f"{claim['difference']:.1f} ({claim['lo']:.1f} to {claim['hi']:.1f}): {claim['verdict']}{together}"


def csv(name: str) -> str:
    """A recorded CSV file as a Markdown table."""
    return pd.read_csv(recorded_folder() / f"{name}.csv").fillna("").to_markdown(index=False, floatfmt=".1f")


def value(recorded: str, name: str, *row_and_metric: str) -> str:
    """The mean of one metric of one row; the row's name may hold spaces."""
    *row, metric = row_and_metric
    measured = pd.read_csv(recorded_folder() / recorded / f"{name}.csv").set_index("row")
    return f"{measured.loc[' '.join(row), metric]:.1f}"


def effect(recorded: str, *better_and_worse: str) -> str:
    """A difference of the clean ablation with its interval: `better` and `worse`, separated by `over`."""
    better, worse = " ".join(better_and_worse).split(" over ")
    effects = pd.read_csv(recorded_folder() / recorded / "factorial.csv").set_index(["better", "worse"])
    found = effects.loc[(better, worse)]
    return f"{found['difference']:.0f} ({found['lo']:.0f} to {found['hi']:.0f})"


def fact(recorded: str, *path: str) -> str:
    """An entry of what made a recorded set, such as `versions torch`."""
    found: Any = json.loads((recorded_folder() / recorded / "facts.json").read_text(encoding="utf-8"))
    for part in path:
        found = found[part]
    return str(found)


DIRECTIVES: dict[str, Callable[..., str]] = {
    "table": table,
    "verdicts": verdicts,
    "csv": csv,
    "value": value,
    "effect": effect,
    "fact": fact,
}


def filled(template: str) -> str:
    """The template with every directive replaced by what was recorded.

    Raises:
        ValueError: there is no such directive, or nothing of that name was recorded.
    """

    def replaced(directive: re.Match[str]) -> str:
        name, *arguments = directive[1].split()
        if name not in DIRECTIVES:
            raise ValueError(f"{directive[0]}: expected one of {', '.join(DIRECTIVES)}")
        try:
            return DIRECTIVES[name](*arguments)
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{directive[0]}: {error!r}") from error

    return re.sub(r"\{\{(.*?)\}\}", replaced, template)


def pages() -> dict[Path, str]:
    """RESULTS.md, and README.md with its table between `<!-- recorded: ... -->` and `<!-- end -->` renewed."""
    results = filled((recorded_folder() / TEMPLATE).read_text(encoding="utf-8"))
    readme = (home() / "README.md").read_text(encoding="utf-8")

    def renewed(block: re.Match[str]) -> str:
        return f"<!-- recorded: {block[1]} -->\n{filled('{{' + block[1] + '}}')}\n<!-- end -->"

    renewed_readme = re.sub(r"<!-- recorded: (.*?) -->\n.*?<!-- end -->", renewed, readme, flags=re.DOTALL)
    return {home() / "RESULTS.md": results, home() / "README.md": renewed_readme}
