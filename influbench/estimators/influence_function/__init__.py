"""Influence functions: the response of the optimum to an example's weight, from the curvature around it."""
