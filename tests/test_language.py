"""Prose, help texts, error sentences and docstrings are plain American English."""

from tests.language import PLACES, files, found


def test_phrases_that_readers_stumble_over_are_gone() -> None:
    assert not list(found(list(files(list(PLACES)))))


def test_a_phrase_is_found_in_texts_and_docstrings_but_not_in_code() -> None:
    import tests.language as language

    path = language.ROOT / "tests" / "language.py"
    lines = list(found([path]))
    assert any("memoris" in line for line in lines)
    assert not any("PHRASES" in line for line in lines)
