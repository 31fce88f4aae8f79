"""Reads finished runs: explanations, galleries, comparisons. Nothing is trained here."""
