"""Training, evaluation, runs that are kept on disk, and grids of runs. This part knows no system, paper or figure."""
