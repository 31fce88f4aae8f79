"""Words and phrases that users and readers of docstrings should not meet, and where they stand.

    python tests/language.py [PATH ...]

lists them in text files, and in the docstrings, comments and texts of Python files.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "influbench", "plugins", "benchmarks")
NOT_READ = ("results", "LICENSE", ".ruff_cache", "__pycache__", ".venv")

PHRASES = {
    r"\b(?:is|are|was|were|it's) no [a-z]": "is not a",
    r"\bthere (?:is|are) none\b": "there isn't one",
    r"\b(?:tell|tells|told|telling)\b": "report, show, say",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\b(?:speak|speaks|spoke|spoken) of\b": "predicts, covers",
    r"\bhangs? on\b": "depends on",
    r"\bstands? or falls?\b|\bstand and fall\b": "depend on",
    r"\bstands? (?:in|behind|beside|there|here|below|above|for itself)\b": "is in, is shown",
    r"\bso (?:many|often|few)\b": "this many",
    r"\bso and so\b": "the given",
    r"\bas (?:it is|they are)(?=[.,;:)]|$)": "unchanged",
    r"\b(?:go|goes|went) on\b": "continues",
    r"\btrains? again without\b|\btraining again without\b": "retrain without",
    r"\bin the course of\b": "during",
    r"\bcome along\b": "are included",
    r"\bnobody asks\b|\bharms nobody\b|\bdisturbs nobody\b": "is unused, has no side effects",
    r"\blearnt\b|\bspelt\b|\bmisspelt\b|\bburnt\b": "learned, spelled",
    r"\b\w*(?:memoris|recognis|initialis|normalis|optimis(?!m|t)|factoris|linearis)\w*": "-iz-",
    r"\b\w*(?:regularis|generalis|summaris)\w*": "-iz-",
    r"\b(?:behaviour|colour|neighbour|favour|grey)\w*\b": "American spelling",
    r"\b(?:centred|centre|mislabelled|labelled|modelled|cancelled)\b": "American spelling",
    r"[0-9}] %(?![0-9sdr(])": "95%",
    r"\bforetell\w*\b|\bforetold\b": "predict",
}
_PATTERN = re.compile("|".join(f"(?P<p{number}>{pattern})" for number, pattern in enumerate(PHRASES)), re.IGNORECASE)
_ADVICE = list(PHRASES.values())


def found(paths: Iterator[Path] | list[Path]) -> Iterator[str]:
    """A line for each phrase: file, line, the words, and what to write."""
    for path in paths:
        for number, text in _texts(path):
            for match in _PATTERN.finditer(text):
                at = number + text.count("\n", 0, match.start())
                group = match.lastgroup
                assert group is not None
                yield f"{path.relative_to(ROOT)}:{at}: {match[0]!r}; write {_ADVICE[int(group[1:])]!r}"


def files(places: list[str]) -> Iterator[Path]:
    """Markdown, TOML and Python files below these places."""
    for place in places:
        path = ROOT / place
        if path.is_file():
            yield path
        for file in sorted(path.rglob("*")):
            if file.suffix in (".md", ".py", ".toml") and not set(NOT_READ) & set(file.parts):
                yield file


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """What a person reads of a file, with the line at which it begins."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(content).readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT) or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
                yield token.start[0], token.string
    else:
        yield 1, content


if __name__ == "__main__":
    lines = list(found(files(sys.argv[1:] or list(PLACES))))
    print("\n".join(lines))  # noqa: T201
    sys.exit(bool(lines))
