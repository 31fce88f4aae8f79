"""Runs a plan. `run` tells what happens as a stream of events; it never prints."""

from influbench.engine.forecast import forecast
from influbench.engine.preparation import Resources
from influbench.engine.run import run

__all__ = ["Resources", "forecast", "run"]
