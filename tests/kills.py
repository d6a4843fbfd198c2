"""`make kills`: does every command come to the same end when it is killed at any moment and called again?

Each trial starts a command on a home of its own, kills its process (SIGKILL, and the parent alone) at a random moment,
waits until all processes that it had started are gone, and calls the command again. Then it compares every file with
those of the command that was left in peace, and looks for files that only a killed process can have left.

Commands are started by forking this process, which has imported everything: so the kills fall into the work of the
command and not into its imports. Workers that a command starts import for themselves, as they always do.
"""

import argparse
import contextlib
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import lightning_fabric  # noqa: F401  # a training imports it when it begins
import nbformat
import numpy as np
import pandas as pd
import torch
from conftest import SMALL, toy_split
from joblib.externals.loky import reusable_executor
from kaggle_server import served
from PIL import Image
from tabulate import tabulate

from vsrpp_lite.data import scenes
from vsrpp_lite.data.write import write_dataset
from vsrpp_lite.files import home, write_text
from vsrpp_lite.paper import quotes, record, recorded_runs, report
from vsrpp_lite.paper.reproduce import reproduce_tables
from vsrpp_lite.paper.tables import Claim, Table
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.training import grid
from vsrpp_lite.training.runs import Result, Run

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "data_scripts"))
import multi30k
import photographs
import regions
import released

PATIENCE = 120  # seconds that workers of a killed process may take to leave


class Kind(NamedTuple):
    name: str
    prepare: Callable[[], None]
    """Writes what must be in the home before the command is called."""
    work: Callable[[], None]
    """The command. It may be called again on a home in which it has been killed, or has come to its end."""


def once(write: Callable[..., object], folder: Path, *args: object, **options: object) -> None:
    """Write a folder, or be told that it is written: a process may be killed when it has just done its work."""
    try:
        write(folder, *args, **options)
    except FileExistsError as error:
        if "another process" in str(error):
            raise


def draw() -> None:
    once(scenes.write, home() / "drawn", seed=1, size="tiny")
    scenes.ensure(home() / "data" / "scenes-f30k-tiny", seed=0, size="tiny")


def toy() -> None:
    splits = {"train": toy_split(60, 1), "dev": toy_split(12, 2, 100), "test": toy_split(20, 3, 200)}
    write_dataset(home() / "data" / "toy", name="toy", source="tests", splits=splits)


def run(seed: int = 0) -> Run:
    return Run(system=VSEpp(), data="toy", seed=seed, sizes=SMALL, training=Training(epochs=8, batch_size=60))


def fit() -> None:
    run().fit(accelerator="cpu", bar=False)


def fit_afresh() -> None:
    run().fit(accelerator="cpu", fresh=True, bar=False)


def train_grid() -> None:
    runs = grid.expand(run(), {"seed": range(3)})
    list(grid.train(runs, jobs=2, folds=dict.fromkeys(runs, 2)))


TABLE = Table(
    name="table1",
    rows={"VSE++": VSEpp(), "VSRN": VSRN()},
    claims=[Claim("VSRN beats VSE++", "VSRN", "VSE++")],
    averaged=["VSE++", "VSRN"],
    folds=2,
)


def trained() -> None:
    toy()
    for seed in range(2):
        for row in TABLE.runs(data="toy", preset="smoke", seed=seed).values():
            row.fit(accelerator="cpu", bar=False)
    write_text(home() / "README.md", "# Mine\n<!-- recorded: table toy-smoke table1 rsum -->\n<!-- end -->\n")
    (home() / "notebooks" / "recorded").mkdir(parents=True)
    template = "{{table toy-smoke table1 rsum}}\n\n{{verdicts toy-smoke}}\n"
    write_text(home() / "notebooks" / "recorded" / report.TEMPLATE, template)


def tables() -> None:
    """Ranks and scores are kept, tables written and recorded, and the report written."""
    results = [Result(row) for row in TABLE.runs(data="toy", preset="smoke", seed=0).values()]
    reproduce_tables([TABLE], data="toy", preset="smoke", seeds=2, jobs=1)
    for result in results:
        result.scores()
    for module in (quotes, record, report):
        module.recorded_folder = lambda: home() / "notebooks" / "recorded"
    report.notebooks_folder = lambda: home() / "notebooks"  # else it would write the pages of this checkout
    recorded_runs.RECORDED = (TABLE,)
    record.record("toy")
    for path, text in report.pages().items():
        write_text(path, text)


def with_notebook() -> None:
    toy()
    TABLE.runs(data="toy", preset="smoke", seed=0)["VSE++"].fit(accelerator="cpu", bar=False)
    cells = [
        nbformat.v4.new_code_cell(
            'data = "toy"\npreset = "smoke"\nseeds = 1', id="a", metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell("import vsrpp_lite as vl\nvl.Run(system=vl.VSEpp(), data=data, preset=preset).fit()"),
    ]
    cells[1].id = "b"
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
    nbformat.write(notebook, home() / "mine.ipynb")


def show() -> None:
    """A table's notebook is executed: a worker starts a kernel."""
    table = Table(name="table1", rows={"VSE++": VSEpp()}, notebook=home() / "mine.ipynb")
    reproduce_tables([table], data="toy", preset="smoke", seeds=1, jobs=1)


def raw_captions() -> None:
    folder, first = home() / "raw", 0
    folder.mkdir()
    for split, count in {"train": 200, "val": 20, "test_2016": 20}.items():
        ids = range(first, first := first + count)
        (folder / f"{split}_images.txt").write_text("".join(f"{i}.jpg\n" for i in ids))
        for k in range(1, 6):
            for language, text in (("en", "Dog {} runs."), ("de", "Hund {} läuft.")):
                lines = "".join(f"{text.format(i)}\n" for i in ids)
                (folder / f"{split}.{k}.{language}.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))


def convert_captions() -> None:
    folder = home() / "raw"
    table = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    once(multi30k.convert, home() / "data" / "multi30k", folder, table)


def raw_features() -> None:
    folder, rng = home() / "f30k_precomp", np.random.default_rng(0)
    folder.mkdir()
    for k, split in enumerate(("train", "dev", "test")):
        np.save(folder / f"{split}_ims.npy", rng.standard_normal((200, 12, 256), dtype=np.float32))
        (folder / f"{split}_ids.txt").write_text("".join(f"{1000 * k + i}\n" for i in range(200)))
        (folder / f"{split}_caps.txt").write_text("".join(f"picture {i // 5}, told {i}\n" for i in range(1000)))


def convert_features() -> None:
    once(lambda out: released.prepare(home() / "f30k_precomp", out), home() / "data" / "f30k")


def fetch_features() -> None:
    with served(home() / "f30k_precomp"):
        once(lambda out: released.prepare("kaggle", out), home() / "data" / "f30k")


def raw_pictures() -> None:
    folder, lines = home() / "pictures", ["image,caption"]
    folder.mkdir()
    for k in range(100):
        Image.new("RGB", (40 + k, 60), (2 * k, 255 - 2 * k, 99)).save(folder / f"{k}.png")
        lines += [f"{k}.png,picture {k}", f"{k}.png,told {k}"]
    (home() / "captions.csv").write_text("\n".join(lines) + "\n")


class Squares:
    """A backbone without weights: the colours of 8 x 8 cells of each picture."""

    def __call__(self, pictures: list[Image.Image]) -> torch.Tensor:
        return regions.squashed(pictures, 8, (0, 0, 0), (1, 1, 1))


def encode_pictures() -> None:
    photographs.rg.open_backbone = lambda *_: Squares()
    once(lambda out: photographs.prepare(out, home() / "pictures", home() / "captions.csv"), home() / "data" / "mine")


def export() -> None:
    once(Result(run()).export, home() / "models" / "mine")


KINDS = [
    Kind("draws", lambda: None, draw),
    Kind("trainings", toy, fit),
    Kind("trainings from the start", lambda: (toy(), fit()), fit_afresh),
    Kind("grids of two workers", toy, train_grid),
    Kind("tables, scores, report", trained, tables),
    Kind("notebooks of tables", with_notebook, show),
    Kind("multi30k converted", raw_captions, convert_captions),
    Kind("features converted", raw_features, convert_features),
    Kind("features fetched", raw_features, fetch_features),
    Kind("photographs", raw_pictures, encode_pictures),
    Kind("exports", lambda: (toy(), fit()), export),
]


class Started(NamedTuple):
    pid: int
    went: int
    """The end of a pipe, which gives a byte when the work begins and another one when it is done."""


def start(work: Callable[[], None], place: Path) -> Started:
    """Do the work in a new process with the home place/home and the temporary folder place/tmp."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return Started(pid, reading)
    code = 1
    try:
        os.setsid()
        os.environ |= {"VSRPP_HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
        tempfile.tempdir = None  # it is looked up once
        with place.with_suffix(".log").open("a") as log:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(log.fileno(), stream.fileno())
        os.write(writing, b"a")
        work()
        os.write(writing, b"z")
        if reusable_executor._executor is not None:
            reusable_executor._executor.shutdown()  # as at the end of every program
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def to_the_end(work: Callable[[], None], place: Path) -> float:
    """Do the work in a new process, and return how many seconds it took.

    Raises:
        RuntimeError: the process failed; the error has what it said.
    """
    started = start(work, place)
    os.read(started.went, 1)
    began = time.monotonic()
    os.read(started.went, 1)
    took = time.monotonic() - began
    os.close(started.went)
    _, status = os.waitpid(started.pid, 0)
    if status:
        raise RuntimeError(place.with_suffix(".log").read_text()[-3000:])
    return took


def killed(work: Callable[[], None], place: Path, moment: float) -> int | None:
    """Do the work in a new process and kill it after `moment` seconds. Return its id, or None if it was done before."""
    started = start(work, place)
    os.read(started.went, 1)
    time.sleep(moment)
    os.kill(started.pid, signal.SIGKILL)
    _, status = os.waitpid(started.pid, 0)
    os.close(started.went)
    return started.pid if os.WIFSIGNALED(status) else None


def descendants(pid: int, place: Path) -> list[int]:
    """The living processes that a process has started: those of its session, and those that were given its home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just left
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            given = f"VSRPP_HOME={place / 'home'}\0".encode() in (folder / "environ").read_bytes()
            if state not in "ZX" and (given or int(session) == pid):
                found.append(int(folder.name))
    return found


def orphans(pid: int, place: Path) -> list[str]:
    """Wait until what a killed process had started is gone, and end and return what stays longer than PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while (found := descendants(pid, place)) and time.monotonic() < deadline:
        time.sleep(0.05)
    commands = []
    for child in found:
        with contextlib.suppress(OSError):
            commands.append(Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode())
            os.kill(child, signal.SIGKILL)
    return commands


def contents(place: Path) -> dict[str, object]:
    """What all files hold, without the seconds of the clock; folders hold None."""
    found = {}
    for path in sorted(place.rglob("*")):
        content = None if path.is_dir() else without_clock(path)
        name = path
        if path.parent.name == ".checksums" and content is not None:
            # checksums of data are kept under names and seals that tell of inodes, which are others in every home
            content = content.decode().partition(" ")[0]
            name = path.with_name(content)
        found[name.relative_to(place).as_posix()] = content
    return found


def without_clock(path: Path) -> object:
    """The bytes of a file. Those that tell how long something took are read, and told without it."""
    if path.name == "result.json":
        return json.loads(path.read_text()) | {"seconds": None}
    if path.name in ("times.csv", "runs.csv"):
        return pd.read_csv(path).drop(columns="seconds").to_csv()
    if path.name == "checksums.json" and "runs" in path.parts:
        # the sha256 of a run's result.json is that of its seconds, and checksums of before may be accepted, too
        content = json.loads(path.read_text())
        return content["owner"], {name: sums[0] for name, sums in content["files"].items() if name != "result.json"}
    if path.suffix == ".ipynb":
        return [(cell.source, cell.get("outputs")) for cell in nbformat.read(path, 4).cells]
    return path.read_bytes()


def in_memory() -> set[Path]:
    """What lies in /dev/shm, where joblib keeps large arrays and semaphores. Their names hold the process's number."""
    return set(Path("/dev/shm").glob("*"))


def left_in_memory(pid: int, before: set[Path]) -> Iterator[str]:
    """What a process has left in memory. What was there before is of an earlier process that had the same number."""
    new = in_memory() - before
    return (str(path) for path in new if str(pid) in path.name.replace("-", "_").split("_"))


class Trial(NamedTuple):
    moment: float
    unequal: list[str]
    leftovers: list[str]
    orphans: list[str]


def place_for(kind: Kind, scratch: Path, number: int | str) -> Path:
    """A new place with the prepared home of the kind."""
    place = scratch / f"{kind.name.replace(' ', '-')}-{number}"
    (place / "tmp").mkdir(parents=True)
    (place / "home").mkdir()
    if (prepared := scratch / f"{kind.name.replace(' ', '-')}-prepared").exists():
        shutil.copytree(prepared / "home", place / "home", dirs_exist_ok=True)
    return place


def attempt(kind: Kind, truth: dict[str, object], place: Path, moment: float) -> Trial | None:
    """Kill the command at this moment, call it again, and judge. None: it was done before the moment came."""
    before = in_memory()
    pid = killed(kind.work, place, moment)
    if pid is None:
        return None
    stayed = orphans(pid, place)
    try:
        to_the_end(kind.work, place)
    except RuntimeError as error:
        return Trial(moment, [str(error)], [], stayed)
    found = contents(place)
    unequal = [path for path, content in truth.items() if found.get(path, "missing") != content]
    leftovers = [path for path in found if path not in truth] + [*left_in_memory(pid, before)]
    return Trial(moment, unequal, leftovers, stayed)


def trials(kind: Kind, count: int, scratch: Path, draws: random.Random) -> list[Trial]:
    """Make the truth, and kill `count` commands, each in its own part of the time that the truth took."""
    to_the_end(kind.prepare, place_for(kind, scratch, "prepared"))
    place = place_for(kind, scratch, "truth")
    took = to_the_end(kind.work, place)
    truth = contents(place)
    done: list[Trial] = []
    while len(done) < count:
        place = place_for(kind, scratch, len(done))
        if trial := attempt(kind, truth, place, took * (len(done) + draws.random()) / count):
            done.append(trial)
        else:
            took *= 0.9  # it is faster than the truth was
        shutil.rmtree(place)
    # no bar of tqdm in this process: a child that is killed could hold its lock for ever
    print(f"{kind.name}: {count} kills in {took:.1f} s of work", flush=True)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="?", type=int, default=100, help="over all kinds of commands")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--only", default="", help="kinds with one of these words in their name alone")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # before the first fork
    multi30k.bucket_table()  # it takes a second, and is the same for all
    scenes.SIZES["tiny"] = {"train": 52, "dev": 2, "test": 2}  # two chunks, and one each
    words = asked.only.split()
    kinds = [kind for kind in KINDS if not words or any(word in kind.name for word in words)]
    rows, failures = [], []
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
        for number, kind in enumerate(kinds):
            count = (asked.kills + number) // len(kinds)
            done = trials(kind, count, Path(scratch).resolve(), random.Random(f"{asked.seed} {kind.name}"))
            rows.append([kind.name, count, *(sum(not trial[k] for trial in done) for k in (1, 2))])
            rows[-1].append(sum(len(trial.orphans) for trial in done))
            failures += [(kind.name, trial) for trial in done if any(trial[1:])]
    rows.append(["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    headers = ["", "kills", "equal", "without leftovers", f"orphans after {PATIENCE} s"]
    print(tabulate(rows, headers=headers, tablefmt="simple"))
    for name, trial in failures:
        print(f"\n{name}, killed after {trial.moment:.3f} s")
        for what, found in trial._asdict().items():
            if what != "moment" and found:
                print(f"  {what}:", *found, sep="\n    ")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
