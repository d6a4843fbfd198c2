"""`make fuzz`: damage folders at random, use them, and see that no number is wrong and that no error is bare.

`make fuzz N=3000` tries as many cases with a new seed, and prints what came of them. `tests/test_fuzz.py` tries some in
each test run. A case damages one to three files of a subject:

    toy, plain, rows, coco   data: with a manifest, without one, a row a caption, an explicit map and a testall
    done, begun              run folders: of a finished run, and of one that was interrupted after its first epoch
    export, stranger         exported models: as `export` writes them, and one without checksums, as others write them

It is used in a process of its own, which may take one more gigabyte of memory and, for each use, ten seconds of the
processor or thirty of the clock: other processes may be at work beside it. What may come of a case:

    refused     an error of a documented type, whose message names a damaged file
    unchanged   no error, and all numbers are the true ones
    other       no error, and nothing in the folder says what it held before. The numbers are those of the damaged files
                when NumPy alone reads them, and no run that was trained on the undamaged files counts as a run on these

All else is a failure.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

SECONDS, BLOCKED, BYTES = 10, 300, 2**30
DATA, RUNS, EXPORTS = ("toy", "plain", "rows", "coco"), ("done", "begun"), ("export", "stranger")


class Damage(NamedTuple):
    kind: str
    file: str
    seed: int


class Case(NamedTuple):
    subject: str
    damages: tuple[Damage, ...]


class Outcome(NamedTuple):
    name: str
    """refused, unchanged, other or failed"""
    detail: str = ""
    """The message of the error, or what is wrong."""


class Fuzzer:
    """A process that has made all subjects and has imported everything, and forks for each case."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        command = [sys.executable, __file__, "--serve", self.folder.name]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.files = json.loads(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.communicate()
        self.folder.cleanup()

    def try_out(self, case):
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return Outcome(*json.loads(self.process.stdout.readline()))


def cases(files):
    """The strategy that draws cases, from the files of each subject."""
    from damages import kinds
    from hypothesis import strategies as st

    seeds = st.integers(0, 2**16)

    def of_subject(subject):
        choices = [(kind, name) for name in files[subject] for kind in kinds(name)]
        damage = st.builds(lambda choice, seed: Damage(*choice, seed), st.sampled_from(choices), seeds)
        some = st.one_of(st.tuples(damage), st.tuples(damage, damage), st.tuples(damage, damage, damage))
        return st.builds(Case, st.just(subject), some)

    return st.sampled_from([*DATA, *DATA, *RUNS, *RUNS, *EXPORTS]).flatmap(of_subject)


# --- the process that forks -----------------------------------------------------------------------


def serve(folder):
    """Make the subjects, print the names of their files, and answer each case, one a line."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the package prints is no answer
    warnings.simplefilter("ignore")
    Subjects.make(folder / "whole" / "case")
    answers.write(json.dumps(Subjects.files) + "\n")
    for number, line in enumerate(sys.stdin):
        subject, damages = json.loads(line)
        root = folder / str(number)
        answers.write(json.dumps(forked(root / "case", Case(subject, [Damage(*d) for d in damages]))) + "\n")
        shutil.rmtree(root)


def forked(root, case):
    """Try a case in a child, and return its outcome."""
    shutil.copytree(Subjects.root, root, symlinks=True)
    report = root.parent / "report"
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # bars of epochs
        try:
            outcome = attempt(root, case)
        except BaseException:
            outcome = Outcome("failed", traceback.format_exc())
        report.write_text(json.dumps(outcome))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if report.exists():
        return json.loads(report.read_text())
    ended = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status}"
    return Outcome("failed", f"hang above {SECONDS} s" if ended in ("SIGALRM", "SIGPROF") else f"ended by {ended}")


class Subjects:
    """What is damaged, and what is true of it."""

    root = None
    files: ClassVar = {}
    truth: ClassVar = {}

    @classmethod
    def make(cls, root):
        import numpy as np
        from conftest import SMALL, toy_split

        from vsrpp_lite.data.write import write_dataset
        from vsrpp_lite.settings import Training
        from vsrpp_lite.systems.vsepp import VSEpp
        from vsrpp_lite.training import train as machine
        from vsrpp_lite.training.runs import Run

        cls.root = root
        os.environ["VSRPP_HOME"] = str(root / "home")
        data, foreign = root / "home" / "data", root / "foreign"
        splits = {"train": toy_split(20, 1), "dev": toy_split(6, 2, 100), "test": toy_split(8, 3, 200)}
        write_dataset(data / "toy", name="toy", source="tests", splits=splits)
        other = {"train": toy_split(20, 4), "dev": toy_split(6, 5, 100), "test": toy_split(8, 6, 200)}
        write_dataset(foreign / "toy", name="toy", source="tests", splits=other)
        for name in ("plain", "rows", "coco"):
            shutil.copytree(data / "toy", data / name)
            (data / name / "manifest.json").unlink()
        for path in (data / "rows").glob("*.npy"):
            np.save(path, np.repeat(np.load(path), 3, axis=0))
        for path in [*(data / "rows").glob("*_ids.txt"), *(data / "coco").glob("*_ids.txt")]:
            path.write_text("".join(f"{line}\n" * 3 for line in path.read_text().splitlines()))
        for path in (data / "coco").glob("test_*"):
            shutil.copy(path, path.with_name(path.name.replace("test_", "testall_")))

        training = Training(epochs=3, batch_size=20, learning_rate=0.01)
        run = Run(system=VSEpp(), data=str(data / "toy"), sizes=SMALL, training=training)
        cls.runs = {name: replace(run, data=str(data / name)) for name in DATA}
        cls.runs |= {"done": run, "begun": replace(run, seed=2)}
        results = {name: run.fit(accelerator="cpu", bar=False) for name, run in cls.runs.items()}
        for result in results.values():
            result.rank()
            result.scores()
        results["done"].export(root / "export")
        shutil.copytree(root / "export", root / "stranger")
        (root / "stranger" / "checksums.json").unlink()
        shutil.copytree(cls.runs["begun"].folder, foreign / "run")
        shutil.copytree(root / "export", foreign / "export")

        cls.names = {name: f"home/data/{name}" for name in DATA} | {name: name for name in EXPORTS}
        cls.names |= {name: cls.runs[name].folder.relative_to(root).as_posix() for name in RUNS}
        cls.matcher = results["done"].matcher()
        cls.truth = {name: {use: act() for use, act in uses(root, name).items()} for name in cls.names}
        shutil.rmtree(cls.runs["begun"].folder)
        evaluate = machine.evaluate
        machine.evaluate = interrupted(evaluate)
        try:
            cls.runs["begun"].fit(accelerator="cpu", bar=False)
        except KeyboardInterrupt:
            machine.evaluate = evaluate
        for name, folder in cls.names.items():
            cls.files[name] = sorted(p.relative_to(root).as_posix() for p in (root / folder).iterdir() if p.is_file())
            cls.files[name] = [file for file in cls.files[name] if not file.endswith(("README.md", ".lock"))]
        for name in DATA:
            cls.files[name] += [f"a kept checksum: {k}" for k in range(3)]


def interrupted(evaluate):
    calls = []

    def stops_in_the_second(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*args)

    return stops_in_the_second


# --- how a folder is used -------------------------------------------------------------------------


def uses(root, subject):
    """Each use of a subject: a function that returns a value, which can be compared and says all that was found."""
    from vsrpp_lite.training.grid import train
    from vsrpp_lite.training.models import load
    from vsrpp_lite.training.runs import Result

    folder = root / Subjects.names[subject]
    if subject in EXPORTS:
        return {"load": lambda: weights(load(folder))}
    run = moved(root, subject)
    if subject in DATA:
        splits = ("train", "dev", "testall" if subject == "coco" else "test")
        return (
            {"check": lambda: check(folder)}
            | {split: lambda split=split: content(folder, split) for split in splits}
            | {"evaluate": lambda: measured(folder, splits[-1]), "recalls": lambda: Result(run).recalls}
        )
    after = {
        "fit": lambda: run.fit(accelerator="cpu", bar=False).recalls,
        "grid": lambda: [result.recalls for result in train([run], jobs=1)],
        "history": lambda: Result(run.fit(accelerator="cpu", bar=False).run).history.to_csv(),
        "matcher": lambda: weights(Result(run).matcher()),
        "scores": lambda: Result(run).scores().tolist(),
    }
    if subject == "begun":
        return {"epochs": lambda: len(Result(run).history) >= 1} | after
    before = {
        "epochs": lambda: len(Result(run).history),
        "recalls": lambda: Result(run).recalls,
        "record": lambda: Result(run).record,
        "load": lambda: weights(load(folder)),
        "export": lambda: weights(load(Result(run).export(Path(tempfile.mkdtemp(dir=root.parent)) / "model"))),
    }
    return before | after


def moved(root, subject):
    """The run of a subject, for the copy of its data under `root`."""
    run = Subjects.runs[subject]
    return replace(run, data=str(root / Path(run.data).relative_to(Subjects.root)))


def check(folder):
    """What the command prints; its error, as an error."""
    from typer.testing import CliRunner

    from vsrpp_lite.__main__ import app
    from vsrpp_lite.data.errors import DataError

    found = CliRunner().invoke(app, ["check", str(folder)])
    if found.exit_code == 1 and found.output.startswith("error: "):
        raise DataError(found.output)
    if found.exception:
        raise found.exception
    return found.output


def content(folder, split):
    """All that a data set gives, caption by caption."""
    from vsrpp_lite.data.precomp import open_split

    found = open_split(folder, split)
    image = found.caption_to_image
    regions, mask = found.regions(image)
    boxes = None if found.boxes is None else found.boxes[image]
    return digest(found.captions, found.image_ids[image], regions.numpy(), mask.sum(1).numpy(), boxes)


def read_by_numpy(folder, split):
    """The same, as anybody reads the format who trusts the files."""
    import numpy as np

    def array(kind):
        path = folder / f"{split}_{kind}.npy"
        return np.load(path) if os.path.lexists(path) else None

    def lines(kind):
        text = (folder / f"{split}_{kind}.txt").read_bytes().decode("utf-8-sig")
        return [line.strip() for line in text.removesuffix("\n").split("\n")]

    captions, ids, features = lines("caps"), np.array(list(map(int, lines("ids")))), array("ims")
    masks, boxes = array("masks"), array("boxes")
    where = np.arange(len(captions))
    if len(ids) == len(features) != len(captions):
        where = where // (len(captions) // len(ids))
        ids = ids[where]
    elif len(features) != len(captions):  # the explicit map: rows in the order in which their ids appear
        where = np.array([list(dict.fromkeys(ids.tolist())).index(k) for k in ids])
    counts = np.full(len(captions), features.shape[1]) if masks is None else (masks[where].view(np.uint8) > 0).sum(1)
    return digest(captions, ids, features[where].astype(np.float32), counts, None if boxes is None else boxes[where])


def measured(folder, split):
    from vsrpp_lite.data.precomp import open_split
    from vsrpp_lite.training.ranking import evaluate

    found = open_split(folder, split)
    return evaluate(Subjects.matcher, found) if found.feature_size == 12 else "regions of another size"


def weights(matcher):
    return digest(matcher.tokenizer.words, *(x.numpy() for x in matcher.state_dict().values()))


def digest(*values):
    """A hash of texts and of the values of arrays."""
    shown = [repr(x.tolist()) if hasattr(x, "tolist") else repr(x) for x in values]
    return [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] for text in shown]


# --- what may come of it --------------------------------------------------------------------------


def attempt(root, case):
    """Damage the copy of the subjects under `root`, use it, and judge."""
    from damages import apply

    os.environ["VSRPP_HOME"] = str(root / "home")
    if case.subject in DATA:
        for use in ("check", "recalls"):  # a process may have used it before, and remember
            uses(root, case.subject)[use]()
    before = state(root)
    for kind, file, seed in case.damages:
        apply(kind, resolve(root, file), seed)
    after = state(root)
    touched = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    acts = uses(root, case.subject)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, resource.RLIM_INFINITY))
    found = {}
    for use, act in acts.items():
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, BLOCKED)
        found[use] = tried(act, touched, root)
        if found[use].name == "failed":
            return Outcome("failed", f"{use}: {found[use].detail}")
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
        signal.setitimer(timer, 0)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    told = "\n".join(outcome.detail for outcome in found.values() if outcome.name == "refused")
    for name, now in state(root).items():
        if name in touched and Path(name).name in told and now != after.get(name):
            return Outcome("failed", f"{name} was refused, and then changed")
    judge = {"stranger": judge_stranger}.get(case.subject, judge_data if case.subject in DATA else judge_sealed)
    return judge(root, case.subject, found, {name for name in touched if ".checksums/" not in name})


def resolve(root, file):
    """The path of a file of a subject. Kept checksums have names that change with every copy: content tells which."""
    if not file.startswith("a kept checksum"):
        return root / file
    names = [path for path in (root / "home" / "data" / ".checksums").iterdir() if path.is_file()]
    return sorted(names, key=lambda path: path.read_bytes())[int(file.split()[-1])]


def state(root):
    """What stands at each path: bytes, or the kind of thing."""
    found = {}
    for path in root.rglob("*"):
        if path.is_symlink():
            found[path.relative_to(root).as_posix()] = f"link to {path.readlink()}"
        elif path.is_file():
            few = path.stat().st_size < 10**8
            found[path.relative_to(root).as_posix()] = path.read_bytes() if few else str(path.stat().st_size)
        else:
            found[path.relative_to(root).as_posix()] = oct(path.stat().st_mode)
    return found


def tried(act, touched, root):
    """What came of one use: a value, an error that may be, or one that may not."""
    from vsrpp_lite.data.errors import DataError
    from vsrpp_lite.sealed_folder import DamagedError
    from vsrpp_lite.training.grid import GridError

    try:
        return Outcome("value", act())
    except Exception as error:
        said = str(error)
        names = {Path(name).name for name in touched}
        # where the checksums are damaged, the first file that they are asked for is named
        named = any(name in said for name in names) or ("checksums.json" in names and f"{root}/" in said)
        named = named or (type(error) is FileNotFoundError and "not trained to its end" in said)
        if type(error) in (DataError, DamagedError, GridError, FileNotFoundError, ValueError) and named:
            return Outcome("refused", said)
        return Outcome("failed", f"bare {type(error).__name__}\n{traceback.format_exc()}")


def judge_sealed(root, subject, found, touched):
    """A run or an export: each use is refused, or gives what it gave before."""
    for use, outcome in found.items():
        if outcome.name == "value" and outcome.detail != Subjects.truth[subject][use]:
            if subject == "export" and not (root / "export" / "checksums.json").exists():
                return Outcome("other")
            return Outcome("failed", f"{use} gives another value:\n{outcome.detail}\n{Subjects.truth[subject][use]}")
    refused = [outcome.detail for outcome in found.values() if outcome.name == "refused"]
    return Outcome("refused", refused[0]) if refused else Outcome("unchanged")


def judge_stranger(root, subject, found, touched):
    """A model that says nothing about itself: it is refused, or it is what its files say."""
    outcome = found["load"]
    if outcome.name == "refused":
        return outcome
    same = outcome.detail == Subjects.truth[subject]["load"]
    return Outcome("unchanged" if same else "other") if same or touched else Outcome("failed", "another model")


def judge_data(root, subject, found, touched):
    """A data folder: `check` compares it with its manifest; without one, it is what its files hold."""
    folder, truth = root / Subjects.names[subject], Subjects.truth[subject]
    values = {use: outcome.detail for use, outcome in found.items() if outcome.name == "value"}
    for split in values.keys() & {"train", "dev", "test", "testall"}:
        try:
            plain = read_by_numpy(folder, split)
        except Exception as error:
            return Outcome("failed", f"{split} is read, where NumPy alone says {error!r}")
        if values[split] != plain:
            return Outcome("failed", f"{split}: is not what NumPy alone reads:\n{values[split]}\n{plain}")
    changed = any(use in values and values[use] != truth[use] for use in truth if use != "recalls")
    if values.get("recalls", truth["recalls"]) != truth["recalls"] or (changed and "recalls" in values):
        return Outcome("failed", f"a run on other data gives its recalls: {values['recalls']}")
    if found["check"].name == "refused":
        return found["check"]
    for outcome in found.values():
        if outcome.name == "refused" and "not trained to its end" not in outcome.detail:
            return outcome  # the ranks of the run, or the `test` of a folder that has a testall
    if (folder / "manifest.json").exists() and changed:
        return Outcome("failed", "check lets it pass, and its numbers are others")
    if "recalls" in values:
        return Outcome("unchanged")
    return Outcome("other") if touched else Outcome("failed", f"{found['recalls'].detail}")


# --- figures --------------------------------------------------------------------------------------


def main(count, seed):
    """Try many cases, print what came of them, and return whether all was well."""
    import hypothesis
    from hypothesis import HealthCheck, settings

    figures, times, failures = Counter(), Counter(), {}
    began = time.monotonic()
    print(f"{count} cases, seed {seed}")
    with Fuzzer() as fuzzer:

        @hypothesis.seed(seed)
        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @hypothesis.given(cases(fuzzer.files))
        def collect(case):
            start = time.monotonic()
            outcome = fuzzer.try_out(case)
            times[outcome.name] = max(times[outcome.name], time.monotonic() - start)
            folder = next(name for name in (DATA, RUNS, EXPORTS) if case.subject in name)
            figures["all", outcome.name] += 1
            figures[" ".join(folder), outcome.name] += 1
            for table in {damage.kind.partition(":")[0] for damage in case.damages}:
                figures[f"damage: {table}", outcome.name] += 1
            if outcome.name == "failed":
                kind = outcome.detail.strip().rpartition("\n")[2][-60:]
                failures.setdefault((case.subject, kind), []).append((case, outcome.detail))

        collect()
    names = ("refused", "unchanged", "other", "failed")
    print(f"{'':32}{'cases':>10}{''.join(f'{name:>10}' for name in names)}")
    for row in dict.fromkeys(row for row, _ in sorted(figures)):
        numbers = [figures[row, name] for name in names]
        print(f"{row:32}{sum(numbers):10}{''.join(f'{n:10}' for n in numbers)}")
    print(f"{time.monotonic() - began:.0f} s; the longest of each kind: { {k: round(t, 1) for k, t in times.items()} }")
    for found in failures.values():
        case, detail = min(found, key=lambda one: len(one[0].damages))
        print(f"\n{len(found)} times, such as {case}\n{detail}")
    return not failures


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(Path(sys.argv[2]))
    else:
        seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
        sys.exit(not main(int(sys.argv[1]), seed))
