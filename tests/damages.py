"""Ways to damage a file. Each is a function of the file and of a random generator, and may look at the files beside it.

`GENERAL` damages any file, and the other tables need a file of their kind. `kinds` says which damages fit a file.
"""

import io
import json
import os
import pickle
import shutil
import zipfile
from contextlib import suppress

import numpy as np
import torch

HUGE = 1_200_000_000
"""More bytes than a case may use. The file is sparse, so that it takes no room on the disk."""


# --- any file -------------------------------------------------------------------------------------


def flip(path, rng):
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 9) if content else 0):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def flip_once_near_the_start(path, rng):
    content = bytearray(path.read_bytes())
    if content:
        content[rng.integers(min(len(content), 100))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def zero_a_block(path, rng):
    content = bytearray(path.read_bytes())
    start = int(rng.integers(len(content) + 1))
    block = content[start : start + 16]
    content[start : start + 16] = bytes(len(block))
    path.write_bytes(content)


def cut(path, rng):
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(len(content) + 1)])


def cut_the_start(path, rng):
    path.write_bytes(path.read_bytes()[rng.integers(1, 40) :])


def extend(path, rng):
    more = rng.bytes(rng.integers(1, 10_000)) if rng.random() < 0.5 else bytes(rng.integers(1, 10_000))
    path.write_bytes(path.read_bytes() + more)


def repeat(path, rng):
    path.write_bytes(path.read_bytes() * 2)


def empty(path, rng):
    path.write_bytes(b"")


def take_away(path, rng):
    path.unlink()


def folder(path, rng):
    path.unlink()
    path.mkdir()
    if rng.random() < 0.5:
        (path / "a file").write_text("a")


def pipe(path, rng):
    path.unlink()
    os.mkfifo(path)


def link(*targets):
    def damage(path, rng):
        path.unlink()
        path.symlink_to(targets[rng.integers(len(targets))])

    return damage


def link_to_itself(path, rng):
    path.unlink()
    path.symlink_to(path.name)


def link_to_another(path, rng):
    other = _another(path, rng)
    path.unlink()
    path.symlink_to(other)


def copy_of_another(path, rng):
    shutil.copy2(_another(path, rng), path)


def swap_with_another(path, rng):
    other, aside = _another(path, rng), path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def _another(path, rng):
    """Another file of the folder, or one of the same name in a foreign folder, which lies under the case's root."""
    foreign = sorted(other for other in _root(path).glob(f"foreign/**/{path.name}") if other.is_file())
    beside = sorted(other for other in path.parent.iterdir() if other.is_file() and other != path)
    found = foreign if foreign and (rng.random() < 0.4 or not beside) else beside
    return found[rng.integers(len(found))] if found else path


def _root(path):
    return next(parent for parent in path.parents if parent.name == "case")


def noise(path, rng):
    path.write_bytes(rng.bytes(rng.integers(1, 3000)))


def archive(path, rng):
    with io.BytesIO() as file:
        match rng.integers(4):
            case 0:
                np.savez(file, ims=np.zeros(3))
            case 1:
                torch.save({"ims": torch.zeros(3)}, file)
            case 2:
                with zipfile.ZipFile(file, "w") as made:
                    made.writestr(path.name, path.read_bytes())
            case _:
                pickle.dump(["a"] * 9, file)
        path.write_bytes(file.getvalue())


GENERAL = {
    f.__name__.replace("_", " "): f
    for f in (
        flip, flip_once_near_the_start, zero_a_block, cut, cut_the_start, extend, repeat, empty, take_away, folder,
        pipe, link_to_itself, link_to_another, copy_of_another, swap_with_another, noise, archive,
    )
} | {
    "link to a device": link("/dev/zero", "/dev/null", "/dev/tty", "/dev/random"),
    "link to nothing": link("/nowhere/at all", "nothing"),
    "link to a folder": link(".", "/proc", ".."),
}  # fmt: skip

# --- text -----------------------------------------------------------------------------------------

ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "utf-8-sig", "cp037")


def encode(path, rng):
    text = path.read_bytes().decode("utf-8", "replace")
    path.write_bytes(text.encode(ENCODINGS[rng.integers(len(ENCODINGS))], "replace"))


def lines_damage(change):
    def damage(path, rng):
        lines = path.read_bytes().split(b"\n")
        if not lines[-1]:
            lines.pop()
        k = int(rng.integers(len(lines))) if lines else 0
        path.write_bytes(b"\n".join(change(lines, k, rng)) + b"\n")

    return damage


def instead(*choices):
    return lines_damage(lambda lines, k, rng: [*lines[:k], choices[rng.integers(len(choices))], *lines[k + 1 :]])


TEXT = {
    "encode": encode,
    "drop a line": lines_damage(lambda lines, k, rng: lines[:k] + lines[k + 1 :]),
    "drop lines": lines_damage(lambda lines, k, rng: lines[: len(lines) - k]),
    "repeat a line": lines_damage(lambda lines, k, rng: lines[: k + 1] + lines[k:]),
    "one line as another": lines_damage(lambda lines, k, rng: [*lines[:k], lines[0], *lines[k + 1 :]]),
    "shuffle lines": lines_damage(lambda lines, k, rng: [lines[i] for i in rng.permutation(len(lines))]),
    "join lines": lines_damage(lambda lines, k, rng: [*lines[:k], b" ".join(lines[k : k + 2]), *lines[k + 2 :]]),
    "other line ends": lambda path, rng: path.write_bytes(
        path.read_bytes().replace(b"\n", (b"\r\n", b"\r", b"\n\n", b"\x0b", b"\xe2\x80\xa8")[rng.integers(5)])
    ),
    "an empty line": instead(b"", b"   ", b"\t", b"\xc2\xa0"),
    "a line of ten megabytes": instead(b"a" * 10**7, b"1" * 10**7, b"a dog " * 2 * 10**6),
    "a line without a word": instead(b"?!", b"...", b"\xf0\x9f\x90\x95", b"_", b"'"),
    "a line that is bytes": instead(b"b'a dog'", b'b"a dog"', b"a\0dog", b"\xff\xfe", b"caf\xe9"),
    "a line that is a number": instead(
        b"1" * 30, b"-1", b"1.0", b"1e3", b"0x10", b"1_0", b"\xd9\xa1", b"nan", b"9" * 5000, b"+7",
        b"9223372036854775808",
    ),
}  # fmt: skip

# --- arrays ---------------------------------------------------------------------------------------


def npy(header, numbers=b"", version=1, length=None):
    """An .npy file whose header says whatever it likes."""
    header = header.encode("latin1", "replace").ljust(118) + b"\n"
    size = 2 if version == 1 else 4
    length = min(len(header), 256**size - 1) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(size, "little") + header + numbers


def _parts(path):
    """The shape and the type in the header, and the bytes of the numbers."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return shape, dtype, file.read()


SHAPES = (
    "({n}, {r}, {f})", "({r}, {n}, {f})", "({n}, {f}, {r})", "({n},)", "()", "{n}", "(-{n}, {r}, {f})",
    "({n}, -{r}, -{f})", "(0, {r}, {f})", "({n}, 0, {f})", "({n}, {r}, {f}, 1)", "(1, {n}, {r}, {f})",
    "(2**40, {r}, {f})", "(1099511627776, 1099511627776, 1099511627776)", "(4611686018427387904, 4, {f})",
    "(18446744073709551617, {r}, {f})", "({n}.0, {r}, {f})", "({n}L, {r}L, {f}L)", "(True, {r}, {f})",
    "(None, {r}, {f})", "[{n}, {r}, {f}]", "'abc'", "({n}, {r}, {f},", "(1000000000, 1000, 1000)", "((1,), 2, 3)",
)  # fmt: skip
TYPES = (
    "'<f4'", "'>f4'", "'=f4'", "'|f4'", "'f4'", "'<f2'", "'<f8'", "'<f16'", "'<i4'", "'<c8'", "'|b1'", "'?'", "'|O'",
    "'<U4'", "'|S4'", "'<M8[s]'", "'|V4'", "''", "5", "None", "()", "[]", "{{}}", "('<f4',)", "('<f4', (2,))",
    "('<f4', ())", "[('a', '<f4')]", "[('a', '<f4'), ('a', '<f4')]", "[('', '<f4')]", "[()]", "[('a',)]", "'(2,)<f4'",
    "'<f4,<f4'", "'f4' * 9", "'<f999999999999'", "'<U99999999999'", "{{'names': ['a'], 'formats': ['<f4']}}", "[[[]]]",
    "('<f4', -1)", "('<f4', 2**70)", "(('<f4', 2), 2)", "b'<f4'", "['<f4']", "('<f4', {{}})", "[('a', '<f4', -1)]",
)  # fmt: skip
HEADERS = (
    "[" * 100, "[" * 9000, "(" * 90_000, "-" * 60 + "1", "-" * 9000 + "1", "{'descr': '<f4', 'shape': (1, '''", "\\",
    "\0", "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 3000 + "1,)}", "{}", "{1: 2}",
    "{'descr': '<f4'}",
    "5", "__import__('os').system('true')", "{'descr': '<f4', 'fortran_order': 3, 'shape': (1,)}", "'\\N{dog}'",
    "0x" + "f" * 9000,
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}", "1" + "+1" * 5000,
    "{**{}}", "f'{1}'",
    "a:\n\tb\n c",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'extra': 1}", "()" * 4000, "1if 1else 2", "'''", "{[]: 1}",
    "{'descr': '\\ud800', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': {}}",
)  # fmt: skip


def claim(path, rng):
    """Another shape, type or order, with the numbers as they are."""
    with suppress(ValueError):
        shape, dtype, numbers = _parts(path)
        n, r, f = (*shape, 1, 1)[:3]
        found, kind, order = str(shape), repr(dtype.str), "False"
        what = rng.integers(5)
        if what in (0, 3):
            found = SHAPES[rng.integers(len(SHAPES))].format(n=n, r=r, f=f)
        if what in (1, 3):
            kind = TYPES[rng.integers(len(TYPES))].replace("{{", "{").replace("}}", "}")
        if what == 2:
            order = ("True", "None", "'yes'", "1", "[]")[rng.integers(5)]
        if what == 4:  # one row more or less
            found = str((n + int(rng.choice([-1, 1])), *shape[1:]))
        path.write_bytes(npy(f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {found}}}", numbers))


def lie(path, rng):
    """A header that is no header."""
    header, numbers = HEADERS[rng.integers(len(HEADERS))], path.read_bytes()[128:]
    version = int(rng.choice([1, 1, 1, 2, 2, 3, 9]))
    length = None if rng.random() < 0.7 else int(rng.choice([0, 1, 5, 65_535, 65_535 if version == 1 else 2**32 - 1]))
    path.write_bytes(npy(header, numbers, version, length))


def array_damage(change):
    """Load the array, change it, and save it; a file that an earlier damage has made no array stays as it is."""

    def damage(path, rng):
        with suppress(ValueError, OSError, EOFError, IndexError, AttributeError):
            array = np.load(path)
            np.save(path, change(np.array(array), rng))

    return damage


def somewhere(*values):
    def change(array, rng):
        with np.errstate(all="ignore"):
            array[tuple(rng.integers(array.shape))] = values[rng.integers(len(values))]
        return array

    return array_damage(change)


def a_region(make):
    def change(array, rng):
        array[tuple(rng.integers(array.shape[:2]))] = make(rng)
        return array

    return array_damage(change)


def raw_byte(path, rng):
    """One byte of the numbers: in an array of truth values, neither 0 nor 1."""
    content = bytearray(path.read_bytes())
    if len(content) > 128:
        content[rng.integers(128, len(content))] = rng.integers(2, 256)
    path.write_bytes(content)


ARRAY = {
    "claim": claim,
    "lie": lie,
    "a byte": raw_byte,
    "not finite": somewhere(np.nan, np.inf, -np.inf, 1e31, -3e38),
    "too large": somewhere(1e30, 9e29, 1e25, -1e20, 3e19, 1e18, -2e5),
    "large": somewhere(9e4, -6e4, 1e-40, -0.0),
    "another number": array_damage(lambda x, rng: somewhere_else(x, rng)),
    "another type": array_damage(
        lambda x, rng: x.astype(["f8", "f2", ">f4", "i4", "?", "c8", "U9", ">f2", "u1", "f4"][rng.integers(10)])
    ),
    "transposed": array_damage(lambda x, rng: np.asfortranarray(x)),
    "axes exchanged": array_damage(lambda x, rng: x.swapaxes(*rng.integers(x.ndim, size=2))),
    "fewer on an axis": array_damage(lambda x, rng: np.delete(x, 0, int(rng.integers(x.ndim)))),
    "more on an axis": array_damage(lambda x, rng: np.repeat(x, 2, int(rng.integers(x.ndim)))),
    "none on an axis": array_damage(lambda x, rng: x[:0] if rng.random() < 0.5 else x[:, :0]),
    "flat": array_damage(lambda x, rng: x.ravel() if rng.random() < 0.5 else x[0]),
    "rows shuffled": array_damage(lambda x, rng: x[rng.permutation(len(x))]),
    "a row as another": array_damage(lambda x, rng: x[[0, *range(len(x) - 1)]]),
    "a last region": array_damage(lambda x, rng: last_region(x, rng)),
}
MASKS = {
    "a gap": array_damage(lambda x, rng: x & (rng.random(x.shape) < 0.7)),
    "no region": array_damage(lambda x, rng: x & (np.arange(len(x)) != rng.integers(len(x)))[:, None]),
    "all regions": array_damage(lambda x, rng: np.ones_like(x)),
}
BOXES = {
    "turned": a_region(lambda rng: [0.6, 0.2, 0.1, 0.6]),
    "with width": a_region(lambda rng: [0.5, 0.5, 0.3, 0.2]),
    "pixels": array_damage(lambda x, rng: x * 500),
    "negative": a_region(lambda rng: [-0.1, 0, 0.5, 0.5]),
    "not finite": a_region(lambda rng: [0, 0, np.nan, 1]),
}


def somewhere_else(x, rng):
    x[tuple(rng.integers(x.shape))] = rng.normal()
    return x


def last_region(x, rng):
    """Change the last region of a row, which a check of the first region alone does not see."""
    row = rng.integers(len(x))
    x[row, -1] = ~x[row, -1] if x.dtype == bool else x[row, -1] * 0.5
    return x


# --- JSON -----------------------------------------------------------------------------------------

JUNK = (
    None, True, 0, -1, 10**400, 1e308, "", "abc", "0" * 64, "F" * 64, "é", "\ud800", [], {}, [[]], {"a": {}}, [None],
    ["0" * 64], float("nan"), "../x", "a\0b", 2**31, "__main__", "os.path", [1, 2], 10**12,
)  # fmt: skip
NAMES = (
    "", ".", "..", "../test_ims.npy", "/etc/passwd", "a/b", "a\0b", "\ud800", "n" * 300, "nothing", "/dev/zero", "é",
    "~",
)  # fmt: skip
DOCUMENTS = (
    "[" * 100_000 + "]" * 100_000, '{"sha256":' * 50_000 + "1" + "}" * 50_000, "null", "[]", "{}", "1", '"', "NaN", "",
    "1" * 10_000, '{"sha256": {}}', '{"sha256": null}', '{"owner": null, "files": {}}', '{"owner": {}, "files": []}',
    "{} {}",
)  # fmt: skip


def json_damage(change):
    """Load a JSON file, change it, and write it; what an earlier damage made unreadable stays as it is."""

    def damage(path, rng):
        with suppress(ValueError, RecursionError, OSError):
            content = json.loads(path.read_text())
            holders = list(_holders(content))
            if holders:
                holder = holders[rng.integers(len(holders))]
                keys = list(holder) if isinstance(holder, dict) else range(len(holder))
                change(holder, keys[rng.integers(len(keys))], rng)
                path.write_bytes(json.dumps(content, indent=1).encode("utf-8", "surrogatepass"))

    return damage


def _holders(content):
    if isinstance(content, (dict, list)) and content:
        yield content
        for value in content.values() if isinstance(content, dict) else content:
            yield from _holders(value)


def junk(holder, key, rng):
    holder[key] = JUNK[rng.integers(len(JUNK))]


def rename(holder, key, rng):
    value = holder.pop(key)
    if isinstance(holder, dict):
        holder[NAMES[rng.integers(len(NAMES))]] = value
    else:
        holder.insert(0, value)


def huge(path, rng):
    os.truncate(path, HUGE)


JSON = {
    "junk": json_damage(junk),
    "a name": json_damage(rename),
    "a key less": json_damage(lambda holder, key, rng: holder.pop(key)),
    "another document": lambda path, rng: path.write_text(DOCUMENTS[rng.integers(len(DOCUMENTS))]),
    "in one line": lambda path, rng: path.write_bytes(path.read_bytes().replace(b"\n", b" ")),
}

TABLES = {
    "any": GENERAL,
    "text": TEXT,
    "array": ARRAY,
    "masks": MASKS,
    "boxes": BOXES,
    "json": JSON,
    "huge": {"huge": huge},
}
DAMAGES = {f"{table}: {kind}": damage for table, damages in TABLES.items() for kind, damage in damages.items()}


def kinds(name):
    """The damages that fit a file of this name."""
    tables = ["any"]
    if name.endswith((".txt", ".json", ".jsonl")):
        tables.append("text")
    if name.endswith(".npy"):
        tables.append("array")
    tables += [table for table in ("masks", "boxes") if name.endswith(f"{table}.npy")]
    if name.endswith(".json"):
        tables.append("json")
    if name.endswith(("manifest.json", "checksums.json", "stranger/config.json", "caps.txt")):
        tables.append("huge")
    return [kind for kind in DAMAGES if kind.partition(":")[0] in tables]


def apply(kind, path, seed):
    """Damage a file. One that an earlier damage took away, or made no file, stays as it is."""
    if path.is_file() and not path.is_symlink():
        DAMAGES[kind](path, np.random.default_rng(seed))
