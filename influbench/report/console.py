"""The console that reports are printed on."""

import rich.console


class Console(rich.console.Console):
    """A console that leaves no blanks at the ends of lines where its output is piped, or kept in a file."""

    def print(self, *objects: object, **how: object) -> None:
        """Print as rich does."""
        if self.is_terminal:
            super().print(*objects, **how)  # type: ignore[arg-type]
            return
        with self.capture() as captured:
            super().print(*objects, **how)  # type: ignore[arg-type]
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))
