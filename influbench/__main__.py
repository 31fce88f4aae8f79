"""`python -m influbench`."""

from influbench.cli import main

main(prog_name="influbench")
