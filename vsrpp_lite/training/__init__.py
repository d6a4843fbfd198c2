"""Training, evaluation, runs that are kept, and grids of runs. No system, paper or figure is known here."""
