"""Executors, which compute the pieces of stored work, one in each file. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_executors() -> list[Spec]:
    """The executors that come with influbench."""
    return [
        Spec("here", "influbench.executors.here:Here", "this process, with all of torch's threads: the default"),
        Spec("processes", "influbench.executors.processes:LocalProcesses", "processes on this machine: --workers N"),
        Spec("dask", "influbench.executors.dask:Dask", "a Dask cluster: --dask ADDRESS"),
    ]
