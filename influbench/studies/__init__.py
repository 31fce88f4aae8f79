"""Questions that a table of agreements does not answer, each asked on the problems of a plan."""
