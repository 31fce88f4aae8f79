"""Influence functions: how the optimum responds when an example's weight goes, by the curvature around it."""
