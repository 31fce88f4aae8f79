"""Reports for readers, made from the files of a run directory and nothing else."""
