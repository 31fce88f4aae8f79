"""The errors that influbench raises on purpose. Each message is one sentence that a user can act on."""


class InflubenchError(Exception):
    """The root of every error that influbench raises on purpose."""


class UsageError(InflubenchError):
    """The request cannot be met: a name, a value, a plan or a data set is wrong."""


class UnknownNameError(UsageError):
    """No plugin, plan or parameter has this name."""


class PlanError(UsageError):
    """The plan cannot be read or does not fit its schema."""


class DataError(UsageError):
    """A data set returned something that cannot be trained on."""


class ModelError(UsageError):
    """A model, or the optimizer or schedule of its recipe, cannot be used to train replicas."""


class TrainingError(InflubenchError):
    """A training did not give usable numbers."""


class UnjudgedError(UsageError):
    """No judge of the plan can judge on a problem, as each says itself."""


class EstimateError(InflubenchError):
    """An estimator returned something other than the scores that its contract requires."""


class JudgeError(InflubenchError):
    """A judge returned something other than the columns, trainings and yardsticks that its contract requires."""


class StoreError(InflubenchError):
    """A stored file is damaged, or is not what its name says."""


class PluginError(InflubenchError):
    """A plugin's own code raised an exception when influbench called it."""


class EscapedError(Exception):
    """A substitute for what a plugin's code raised and cannot be passed on unchanged, in its words: "SystemExit: 3"."""


_LONGEST_MESSAGE = 400  # characters: several sentences, but not a printed tensor


def type_and_message(error: BaseException) -> str:
    """Another package's error in one line: "RuntimeError: no luck". The whole message stays in the traceback."""
    message = first_line(error)
    if isinstance(error, EscapedError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut if it is long."""
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        return f"its message cannot be shown, because that raises {type(failure).__name__}"
    line = next((line.strip() for line in printable(message).splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


def printable(text: str) -> str:
    """Any text, with halves of surrogate pairs, which files and terminals do not accept, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def whole_traceback() -> str:
    """The traceback of the exception that is being handled, as text that can be stored."""
    from traceback import format_exc

    return printable(format_exc())


def did_you_mean(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """`"; did you mean 'x'?"` for the closest known name, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def with_article(noun: str) -> str:
    """The noun with its indefinite article: "a model", "an estimator"."""
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{article} {noun}"
