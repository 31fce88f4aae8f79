"""How well scores agree with the truth, how reliable the truth is, and how sure one can be of either."""
