"""What is recorded in notebooks/recorded, as text: for RESULTS.md, for the README and for sentences of the notebooks.

So nobody types a measured number by hand. Each function can also be named in a template; see `report`.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper.beyond_recall import TRUTH
from vsrpp_lite.paper.published import SEED_RSUMS
from vsrpp_lite.paper.recorded_runs import recorded_samples, seconds
from vsrpp_lite.paper.study import ROWS, STUDIES, best_draws
from vsrpp_lite.paper.tables import beside, compare
from vsrpp_lite.training.metrics import METRICS
from vsrpp_lite.training.significance import holm, seed_interval, seed_p_value, seed_variance


def table(recorded: str, name: str, *metrics: str) -> str:
    """Return a recorded table in Markdown: measured ± half of the interval (published)."""
    measured = pd.read_csv(recorded_folder() / recorded / f"{name}.csv")
    return beside(measured, metrics or METRICS).to_markdown(index=False, disable_numparse=True)


def compared(name: str, metric: str, *recorded: str) -> str:
    """Return one metric of a table in Markdown, one column per recorded set: measured ± half of the interval."""
    sets = {one: pd.read_csv(recorded_folder() / one / f"{name}.csv") for one in recorded}
    columns = {}
    for one, found in sets.items():
        ours = beside(found.assign(**{f"{metric}_paper": None}), [metric])
        columns[one] = ours.set_index("row")[metric]
    first = next(iter(sets.values())).set_index("row")
    columns["published"] = first[f"{metric}_paper"].map("{:.1f}".format)
    in_order = pd.DataFrame(columns).reindex(first.index)
    return in_order.reset_index().to_markdown(index=False, disable_numparse=True)


def verdicts(*recorded: str) -> str:
    """Return every claim with its difference, interval and verdicts, in one column per recorded set, in Markdown."""
    return _by_claim(recorded, _verdict).to_markdown(index=False, disable_numparse=True)


DECIDED = {"reproduced": "yes", "not reproduced": "no", "inconclusive": "open"}
"""What a table of decisions calls each verdict."""


def decided(*recorded: str) -> str:
    """Return what Holm's method decides of every claim, in one column per recorded set, in Markdown.

    What rests on one seed stands in brackets. The last three lines count the decisions, without those in brackets.
    """
    shown = _by_claim(recorded, _decision)
    for word in DECIDED.values():
        counts = {name: str((shown[name] == word).sum()) for name in recorded}
        shown.loc[len(shown)] = {"table": "", "claim": f"**{word}**"} | counts
    return shown.to_markdown(index=False, disable_numparse=True)


def _by_claim(recorded: Sequence[str], tell: Callable[[pd.Series], str]) -> pd.DataFrame:
    """Return what `tell` says of each claim, in one column per recorded set. The first set orders the claims."""
    columns = {}
    for name in recorded:
        claims = pd.read_csv(recorded_folder() / name / "claims.csv")
        columns[name] = claims.set_index(["table", "claim"]).apply(tell, axis=1)
    return pd.DataFrame(columns).reindex(columns[recorded[0]].index).fillna("").reset_index()


def _decision(claim: pd.Series) -> str:
    """Return the decision of Holm's method on a claim, in brackets if there is one seed only."""
    told = DECIDED[claim["verdict_holm"]]
    return told if claim["seeds"] > 1 else f"({told})"


def _verdict(claim: pd.Series) -> str:
    """Describe a claim's difference, interval and verdict, and the verdict by Holm if that is another or not known."""
    plain, together = claim["verdict"], claim.get("verdict_holm", "not judged")
    by_holm = "" if together == plain else f" ({together} by Holm)"
    return f"{claim['difference']:.1f} ({claim['lo']:.1f} to {claim['hi']:.1f}): {plain}{by_holm}"


def csv(name: str, *without: str) -> str:
    """Return a recorded CSV file as a table in Markdown, without some of its columns."""
    table = pd.read_csv(recorded_folder() / f"{name}.csv").drop(columns=list(without)).astype(object).fillna("")
    return table.to_markdown(index=False, floatfmt=tuple(".3f" if column == "p" else ".1f" for column in table))


def spread(name: str, of: str) -> str:
    """Return the mean, the ends and the number of a column over seeds, by all other columns, in Markdown."""
    runs = pd.read_csv(recorded_folder() / f"{name}.csv")
    by = [column for column in runs if column not in ("seed", of)]
    found = runs.groupby(by, sort=False)[of].agg(["mean", "min", "max", "count"]).reset_index()
    return found.rename(columns={"mean": f"mean {of}", "count": "seeds"}).to_markdown(index=False, floatfmt=".1f")


def changes(name: str, of: str, plain: str) -> str:
    """Return by how much a column differs from its line `plain`, seed by seed: the mean with its 95 % interval.

    The first column of the CSV file of single runs names the lines. The interval is Student's over the seeds. p is the
    larger of two p-values, by the variance of this line and by that of all lines on average, and Holm's method has
    adjusted it for the number of lines.
    """
    runs = pd.read_csv(recorded_folder() / f"{name}.csv")
    lines = runs.columns[0]
    by_seed = runs.pivot(index="seed", columns=lines, values=of)[runs[lines].unique()]
    changed = by_seed.drop(columns=plain).sub(by_seed[plain], axis=0)
    of_lines = changed.to_numpy().T
    mean, low, high = zip(*map(seed_interval, of_lines), strict=True)
    usual = seed_variance([of_line[:, None, None] for of_line in of_lines])
    p = holm([seed_p_value(of_line, usual) for of_line in of_lines])
    columns = {f"change of {of}": mean, "lo": low, "hi": high, "p": p, "seeds": len(changed)}
    found = pd.DataFrame(columns, index=changed.columns).reset_index()
    return found.to_markdown(index=False, floatfmt=("", ".1f", ".1f", ".1f", ".2f", ""))


def recipes(name: str) -> str:
    """Return the winner of each system in a study, with its mean rsum on dev, in Markdown.

    `name` is a preset, such as lite; lite-rows is the study of more rows of Tables 1 and 2 with the settings of lite.
    """
    runs, preset = pd.read_csv(recorded_folder() / "tuning" / f"{name}.csv"), name.removesuffix("-rows")
    best = best_draws(runs, STUDIES[preset].seeds)
    settings = runs.drop_duplicates(["row", "draw"]).drop(
        columns=["seed", "dev_rsum", "best_epoch", "epochs", "seconds"]
    )
    shown = best.merge(settings, on=["row", "draw"]).astype({"learning_rate": str})
    for choice in STUDIES[preset].choices:  # a system ignores what it does not have
        shown[choice] = [x if hasattr(ROWS[row], choice) else "" for row, x in zip(shown["row"], shown[choice])]
    return shown.rename(columns={"draw": "setting"}).to_markdown(index=False, floatfmt="g")


def dev(name: str, *row_and_setting: str) -> str:
    """Return the mean rsum on dev over the seeds of a study, of a row with one of the settings (by its number)."""
    *words, setting = row_and_setting
    runs = pd.read_csv(recorded_folder() / "tuning" / f"{name}.csv")
    found = runs[(runs["row"] == " ".join(words)) & (runs["draw"] == int(setting))]["dev_rsum"]
    if found.empty:
        raise ValueError(f"no row {' '.join(words)!r} with setting {setting}")
    return f"{found.mean():.0f}"


def agreement(preset: str, other: str) -> str:
    """Return Spearman's rank correlation of the systems' best rsum on dev in the studies of two presets."""
    one, two = (
        best_draws(pd.read_csv(recorded_folder() / "tuning" / f"{name}.csv"), STUDIES[name].seeds).set_index("row")
        for name in (preset, other)
    )
    return f"{one['dev_rsum'].corr(two['dev_rsum'], method='spearman'):.2f}"


def minutes(recorded: str) -> str:
    """Return the minutes of training behind a recorded set, added up over all runs; see `recorded_runs.seconds`."""
    return f"{seconds(recorded_folder() / recorded) / 60:.0f}"


def truth(recorded: str) -> str:
    """Return what `beyond_recall` measured of each system, in Markdown.

    Each cell is the mean over seeds (lowest to highest seed); `of` is the mean number of queries or pairs. A cell is
    empty if nothing was measured.
    """
    lines = pd.read_csv(recorded_folder() / recorded / TRUTH)
    by_row = lines.groupby(["measure", "row"], sort=False)["value"].agg(["mean", "min", "max", "size"])
    told = [
        f"{mean:.1f} ({low:.1f} to {high:.1f})" if seeds > 1 else f"{mean:.1f}"
        for mean, low, high, seeds in by_row.itertuples(index=False)
    ]
    shown = pd.Series(told, index=by_row.index).unstack("row", fill_value="")
    shown = shown.loc[lines["measure"].unique(), lines["row"].unique()]
    shown["of"] = lines.groupby("measure")["n"].mean().round().astype(int)
    return shown.reset_index().rename_axis(columns=None).to_markdown(index=False, disable_numparse=True)


def value(recorded: str, name: str, *row_and_metric: str) -> str:
    """Return the mean of one metric of one row. The name of the row may hold spaces."""
    *words, metric = row_and_metric
    row = " ".join(words)
    measured = pd.read_csv(recorded_folder() / recorded / f"{name}.csv").set_index("row")
    return f"{measured.loc[row, metric]:.1f}"


def shift(name: str, before: str, after: str) -> str:
    """Return the mean difference of two columns of a CSV file, with its 95 % interval over the lines (Student's)."""
    lines = pd.read_csv(recorded_folder() / f"{name}.csv")
    return _points(*seed_interval((lines[after] - lines[before]).to_numpy()))


def across_seeds(name: str, *words: str) -> str:
    """Return by how much one line of a CSV file of single runs leads another, seed by seed, with its 95 % interval.

    The words are the two lines, with `over` between them, then `in` and one of the measures.
    """
    lines, measure = " ".join(words).split(" in ")
    better, worse = lines.split(" over ")
    runs = pd.read_csv(recorded_folder() / f"{name}.csv")
    by_seed = runs[runs["measure"] == measure].pivot(index="seed", columns="row", values="value")
    return _points(*seed_interval((by_seed[better] - by_seed[worse]).to_numpy()))


def claim(recorded: str, name: str, *better_and_worse: str) -> str:
    """Return by how many points of rsum one row of a table leads another, where this is one of the table's claims.

    The word `over` stands between the two rows. The interval follows, and the verdict by Holm if that is another.
    """
    better, worse = " ".join(better_and_worse).split(" over ")
    claims = pd.read_csv(recorded_folder() / recorded / "claims.csv")
    claims = claims[(claims["table"] == name) & (claims["metric"] == "rsum")].set_index(["better", "worse"])
    return _judged(claims.loc[(better, worse)])


def lead(recorded: str, name: str, *words: str) -> str:
    """Return by how much one row of a table leads another, paired, with its 95 % interval, from the recorded ranks.

    The words are the two rows, with `over` between them, and a metric of `tables.COMPARED`. The pair need not be one of
    the table's claims, and Holm's method does not judge it.
    """
    *rows, metric = words
    folder = recorded_folder() / recorded
    better, worse = (recorded_samples(folder, name, row) for row in " ".join(rows).split(" over "))
    found = compare(better, worse, metric)
    return _points(found["difference"], found["lo"], found["hi"])


def effect(recorded: str, *better_and_worse: str) -> str:
    """Return a difference of the clean ablation with its interval, and the verdict by Holm if that is another.

    The word `over` stands between its two sides.
    """
    better, worse = " ".join(better_and_worse).split(" over ")
    effects = pd.read_csv(recorded_folder() / recorded / "factorial.csv").set_index(["better", "worse"])
    return _judged(effects.loc[(better, worse)])


def interaction(recorded: str, *part_and_branch: str) -> str:
    """Return by how much more a part does in fusion of similarities than in another branch; see `ablation`.

    The words `instead of` stand between the part and the branch. The interval follows, and the verdict by Holm if that
    is another.
    """
    part, branch = " ".join(part_and_branch).split(" instead of ")
    lines = pd.read_csv(recorded_folder() / recorded / "interactions.csv").set_index(["part", "instead of"])
    return _judged(lines.loc[(part, branch)])


def _judged(line: pd.Series) -> str:
    """Describe a difference, its interval and, if Holm's method decides otherwise or was not asked, its verdict."""
    told, by_holm = _points(line["difference"], line["lo"], line["hi"]), line.get("verdict_holm", "not judged")
    return told if by_holm == line["verdict"] else f"{told[:-1]}; {by_holm} by Holm)"


def _points(difference: Any, low: Any, high: Any) -> str:
    """Describe a difference and its interval in whole points.

    A number that would round to zero is shown with one decimal, unless this decimal is zero, too.
    """
    numbers = map(float, (difference, low, high))
    mean, least, most = (str(round(x)) if round(x) or round(x, 1) == 0 else f"{x:.1f}" for x in numbers)
    return f"{mean} ({least} to {most})"


def ten_seeds(*name: str) -> str:
    """Return the mean rsum of a system's ten seeds on Flickr30K, as others published them; see `SEED_RSUMS`."""
    return f"{statistics.mean(SEED_RSUMS[' '.join(name)]):.1f}"


def fact(recorded: str, *path: str) -> str:
    """Return an entry of the provenance of a recorded set, such as `versions torch`."""
    found: Any = json.loads((recorded_folder() / recorded / "facts.json").read_text(encoding="utf-8"))
    for part in path:
        found = found[part]
    return str(found)
