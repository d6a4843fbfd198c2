"""`make mutants` undoes one decision at a time. Each of them must still stand in the code, exactly once."""

import mutants


def test_every_mutant_finds_its_line():
    assert mutants.misplaced(mutants.MUTANTS) == []
