"""Training of many networks at a time. This package does not depend on anything about influence.

VERSION is part of every key under which trainings are stored: raise it when the same recipe gives different numbers.
"""

VERSION = 2
