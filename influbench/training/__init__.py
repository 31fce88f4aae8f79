"""How networks are trained, many at a time. Knows nothing of influence.

VERSION is part of every key under which trainings are stored: raise it when the same recipe gives other numbers.
"""

VERSION = 2
