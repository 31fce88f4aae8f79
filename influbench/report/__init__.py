"""What a reader sees. Reads the files of a run directory and nothing else."""
