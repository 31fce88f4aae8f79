"""Running a plan. `run` reports what happens as a stream of events; it never prints."""

from influbench.engine.forecast import forecast
from influbench.engine.run import run

__all__ = ["forecast", "run"]
