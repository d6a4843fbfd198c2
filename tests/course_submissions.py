"""Writes tests/submissions from the student version: `python tests/course_submissions.py`, after any edit of a source.

Typical wrong answers are small patches of the reference solution. A notebook has several patches, each in a question of
its own. `TEACHES` in tests/test_course.py says which test must notice a mistake, and what this test must say.
"""

import json
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "notebooks" / "assignments" / "course"))

import versions

DRAW = 2026
FOLDER = ROOT / "tests" / "submissions"

# student, assignment: (answer, text of the reference, text that stands there instead) ...
PATCHES = {
    ("wrong_one", "a1_region_graph"): [
        ("affinity", "return present / mask.sum(1)[:, None, None]", "return products.softmax(2)"),
        ("reason", "return regions + normed", "return normed"),
        ("loudest", ".sum(1)", ".sum(2)"),
    ],
    ("wrong_two", "a1_region_graph"): [
        ("affinity", "mask.sum(1)[:, None, None]", "regions.shape[1]"),
        ("reason", "normed[mask] = norm(messages[mask])", "normed = norm(messages.flatten(0, 1)).view_as(regions)"),
        ("reason", "return regions + normed", "return regions + normed * mask[:, :, None]"),
    ],
    ("wrong_one", "a2_hardest_negative"): [
        ("negatives", "image_ids[:, None] != image_ids[None, :]", "~torch.eye(len(image_ids), dtype=torch.bool)"),
        ("hardest-hinge", "(captions.amax(1) + pictures.amax(0)).mean()", "captions.amax(1).mean()"),
        ("plateau", "siblings = int((", "siblings = int(0.5 * ("),
    ],
    ("wrong_two", "a2_hardest_negative"): [
        ("hardest-hinge", ".clamp(min=0)", ""),
        ("hardest-hinge", ".masked_fill(~wrong, 0.0)", ".masked_fill(~wrong, -9.0)"),
        ("plateau", "2 * 0.2", "0.2"),
    ],
    ("wrong_one", "a3_local_attention"): [
        ("attention", ".softmax(1)", ".softmax(0)"),
        ("local-similarity", "(cosines * word_mask).sum(2) / word_mask.sum(1)", "(cosines * word_mask).mean(2)"),
        ("sharpest", "ids[1 + int(", "ids[int("),
    ],
    ("wrong_two", "a3_local_attention"): [
        ("attention", "clipped.norm(dim=0, keepdim=True)", "clipped.norm(dim=1, keepdim=True)"),
        (
            "local-similarity",
            's = torch.einsum("ird,twd->itwr", regions, words)',
            "s = torch.stack([torch.stack([w @ v.T for w in words]) for v in regions])",
        ),
    ],
    ("wrong_one", "a4_fusion"): [
        (
            "fuse",
            "return global_scores + mu * local_scores",
            "global_scores += mu * local_scores\n    return global_scores",
        ),
        ("choose", "values = study(*dev, mus)", "values = study(*test, mus)"),
        ("margin", "0.2 * (1 + mu) / 3", "0.2 * 3 / (1 + mu)"),
    ],
    ("wrong_two", "a4_fusion"): [
        ("fuse", "global_scores + mu", "(1 - mu) * global_scores + mu"),
        ("study", "fuse(global_scores, local_scores, mu)", "global_scores + mu * local_scores"),
        ("study", "for mu in mus", "for mu in sorted(mus)"),
        ("choose", "study(*test, [best])[0]", "max(values)"),
    ],
    ("wrong_one", "a5_caption_step"): [
        ("look", ".masked_fill(~mask, -torch.inf)", ""),
        ("caption-loss", "decoder.embedding(tokens[:, t - 1])", "decoder.embedding(word)"),
        ("caption-loss", "total = 0.0", "total, word = 0.0, tokens[:, 0]"),
        ("caption-loss", "        log_p =", "        word = decoder.output(hidden).argmax(1)\n        log_p ="),
        ("price", "wrong - own", "own - wrong"),
    ],
    ("wrong_two", "a5_caption_step"): [
        (
            "step",
            "decoder.cell(torch.cat([word, look(decoder, hidden, states, mask)], 1), hidden)",
            "decoder.step(word, hidden, states, decoder.attend_regions(states), mask)",
        ),
        ("caption-loss", "(log_p * token_mask[:, t]).sum()", "log_p.sum()"),
    ],
    ("wrong_one", "a6_capstone"): [("similarity", "+ back", "+ back - back.mean(0)")],
    ("wrong_two", "a6_capstone"): [
        ("similarity", "return vl.cosine", "return -vl.cosine"),
        ("similarity", "+ 2.5 * there + back", "- there"),
    ],
    ("loops", "a2_hardest_negative"): [("negatives", "return ", "while True:\n        pass\n    return ")],
    ("typos", "a1_region_graph"): [("affinity", "return present /", "return (present /")],
    ("typos", "a4_fusion"): [("fuse", "global_scores + mu", "global_scores + + ) mu")],
    ("keywords", "a3_local_attention"): [("sharpest", "[texts.mask[0]], 9.0)", "[texts.mask[0]], temperature=9.0)")],
    ("keywords", "a4_fusion"): [
        ("study", "fuse(global_scores, local_scores, mu)", "fuse(global_scores, local_scores, mu=mu)")
    ],
    ("crashes", "a1_region_graph"): [("reason", "messages =", "import os\n\n    os._exit(1)\n    messages =")],
    ("greedy", "a3_local_attention"): [("attention", "clipped =", "every = torch.zeros(10**11)\n    clipped =")],
    ("retyped", "a1_region_graph"): [
        ("affinity", "products = ", "products = helper(theta(regions), phi(regions))  # "),
    ],
}


def solved(name):
    """The student version with the reference solution filled in."""
    key = versions.source(name, DRAW)
    notebook = versions.student_version(key)
    for cell, original in zip(notebook.cells, key.cells, strict=True):
        if original.metadata.nbgrader["solution"]:
            lines = original.source.splitlines()
            cell.source = "\n".join(line for line in lines if " SOLUTION" not in line)
    return notebook


def wrong(name, patches):
    """The reference solution with a few mistakes; its written answers left empty."""
    notebook = solved(name)
    empty = {cell.id: cell for cell in versions.student_version(versions.source(name, DRAW)).cells}
    cells = {cell.id: cell for cell in notebook.cells}
    for answer, right, instead in patches:
        assert right in cells[answer].source, f"{name}, {answer}: no {right!r} in the reference solution"
        cells[answer].source = cells[answer].source.replace(right, instead)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = empty[cell.id].source
    return notebook


def retype(notebook):
    """What students do to a notebook, none of which should cost them a point."""
    cells = {cell.id: cell for cell in notebook.cells}
    order = [cell for cell in notebook.cells if cell.id != "affinity-missing"]  # a test deleted
    cells["affinity-values"].source = "assert True"  # a test retyped
    cells["a1-01"].source = "draw = 1"
    del cells["reason"].metadata["nbgrader"]  # an answer's name lost, its cell id kept
    order.append(order.pop(order.index(cells["affinity-by-hand"])))  # a test moved
    helper = nbformat.v4.new_code_cell("def helper(a, b):\n    return a @ b.transpose(1, 2)", id="helper")
    order.insert(order.index(cells["affinity"]), helper)  # a cell of their own
    copied = nbformat.v4.new_code_cell(cells["loudest"].source, id="copied", metadata=cells["loudest"].metadata)
    order.insert(order.index(cells["loudest"]) + 1, copied)  # an answer copied with its name
    notebook.cells = order
    return notebook


def secrets(name):
    """Lines of solutions and hidden tests that stand nowhere in the student's part of the source."""
    hidden, shown, inside = [], [], False
    for cell in versions.source(name, 2026).cells:
        for line in cell.source.splitlines():
            if "### BEGIN" in line or "### END" in line:
                inside = "### BEGIN" in line
                hidden.append(line.strip())
            else:
                (hidden if inside else shown).append(line.strip())
    return {line for line in hidden if len(line) > 7 and not any(line in other for other in shown)}


def submissions():
    """Every file of the folder, by its path: a notebook, or text that is none."""
    found = {}
    for name in versions.names():
        found["reference", name] = solved(name)
        found["empty", name] = versions.student_version(versions.source(name, DRAW))
    for (student, name), patches in PATCHES.items():
        found[student, name] = wrong(name, patches)
    retype(found["retyped", "a1_region_graph"])
    files = {
        Path(student, f"{name}.ipynb"): nbformat.writes(notebook) + "\n" for (student, name), notebook in found.items()
    }
    files[Path("astray", "a1_region_graph.ipynb")] = "My answers are in the e-mail.\n"
    files[Path("astray", "a2_hardest_negative.ipynb")] = json.dumps({"cells": "none", "nbformat": 4}) + "\n"
    files[Path("astray", "a3_local_attention.ipynb")] = files[Path("empty", "a2_hardest_negative.ipynb")]
    files[Path("astray", "homework.ipynb")] = files[Path("empty", "a1_region_graph.ipynb")]
    return files


if __name__ == "__main__":
    for path, text in submissions().items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text)
