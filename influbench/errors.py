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
    """A model, or the optimizer or the schedule of its recipe, cannot be trained with in replicas."""


class TrainingError(InflubenchError):
    """A training gave no usable numbers."""


class EstimateError(InflubenchError):
    """An estimator handed over something other than the scores it owes."""


class JudgeError(InflubenchError):
    """A judge handed over something other than the columns, trainings and yardsticks that it owes."""


class StoreError(InflubenchError):
    """A stored file is damaged, or not what its name says."""


class PluginError(InflubenchError):
    """A plugin's own code raised where influbench called it."""


class EscapedError(Exception):
    """Stands for what a plugin's code raised and cannot be passed on as it is, in its words: "SystemExit: 3"."""


_LONGEST_MESSAGE = 400


def told(error: BaseException) -> str:
    """A stranger's error in a line: "RuntimeError: no luck". The whole message stays in the traceback."""
    message = first_line(error)
    if isinstance(error, EscapedError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut where it is long."""
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        return f"its message cannot be shown, because that raises {type(failure).__name__}"
    line = next((line.strip() for line in printable(message).splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


def printable(text: str) -> str:
    """A stranger's words, with what no file and no terminal takes, half of a surrogate pair, written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def whole_traceback() -> str:
    """That of the exception that is handled now, fit to be stored."""
    from traceback import format_exc

    return printable(format_exc())


def did_you_mean(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """`"; did you mean 'x'?"` for the closest known name, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
