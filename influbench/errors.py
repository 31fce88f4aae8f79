"""Everything that influbench raises on purpose. Each message is one sentence a user can act on."""


class InflubenchError(Exception):
    """The root of every error that influbench raises on purpose."""


class UsageError(InflubenchError):
    """What was asked for cannot be done: a name, a value, a plan or a data set is wrong."""


class UnknownNameError(UsageError):
    """No plugin, plan or parameter has this name."""


class PlanError(UsageError):
    """The plan cannot be read or does not fit its schema."""


class DataError(UsageError):
    """A data set handed over something that cannot be trained on."""


class ModelError(UsageError):
    """A model handed over a module that cannot be trained in replicas."""


class TrainingError(InflubenchError):
    """A training gave no usable numbers."""


class EstimateError(InflubenchError):
    """An estimator handed over something other than the scores it owes."""


class StoreError(InflubenchError):
    """A stored file is damaged, or not what its name says."""


class PluginError(InflubenchError):
    """A plugin's own code raised where influbench called it."""


# What is caught where a plugin's code runs: also that it ends the process, but not that a user interrupts it.
WHATEVER_A_PLUGIN_RAISES = (Exception, SystemExit)


def did_you_mean(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """`"; did you mean 'x'?"` for the closest known name, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
