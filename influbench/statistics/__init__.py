"""Statistics of the agreement of scores with the truth and of the reliability of the truth, with intervals."""
