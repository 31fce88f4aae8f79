"""Questions about estimators that a table of agreements does not answer."""
