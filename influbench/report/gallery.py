"""A contact sheet of a run: its most and least memorized train points, and who helps and hurts some test points."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from influbench.errors import UsageError
from influbench.reading.gallery import Gallery, Picture
from influbench.reading.stored import TRUTH
from influbench.report.explanation import label
from influbench.report.numbers import count, decimal, effect
from influbench.store.files import named_by_a_user, write_bytes

_SUFFIX = ".png"
_TILE, _LARGEST = 96, 192  # pixels to a side that small pictures are blown up to, and that large ones are thinned to
_MARGIN, _GAP, _GROUP = 40, 14, 30  # around the sheet, between tiles, and more between groups of them
_TITLE, _HEADING, _TEXT = 28, 18, 13  # sizes of letters
_LINE = 1.4  # height of a line, in sizes of its letters
_PAPER, _INK, _GREY, _FRAME = "#ffffff", "#1b1f24", "#66707a", "#c9ced4"
_RED, _BLUE, _ORANGE = "#c0182b", "#1f6aa5", "#b4571b"  # wrong labels, proponents, opponents
_GROUPS = (("test point", _INK), ("helped most by", _BLUE), ("hurt most by", _ORANGE))
_MEMORIZATION = "the probability of its label when trained with it minus that without"


@dataclass(frozen=True)
class Words:
    """A line of text at the place of its upper left corner."""

    left: int
    top: int
    text: str
    colour: str = _INK
    size: int = _TEXT


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture at the place of its upper left corner, each of its pixels drawn as `scale` x `scale`."""

    left: int
    top: int
    picture: Picture
    scale: int
    stride: int  # of the picture's pixels, one in this many is drawn


@dataclass(frozen=True)
class Bar:
    """A line above a group of tiles."""

    left: int
    top: int
    width: int
    colour: str


@dataclass(eq=False)
class Sheet:
    """The layout of everything drawn; it grows downward."""

    width: int
    height: int = _MARGIN
    tiles: list[Tile] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def write(self, text: str, *, size: int = _TEXT, colour: str = _INK) -> None:
        """Add a paragraph from margin to margin."""
        for line in _lines(text, size, self.width - 2 * _MARGIN):
            self.words.append(Words(_MARGIN, self.height, line, colour, size))
            self.height += round(_LINE * size)


def write_gallery(gallery: Gallery, path: Path) -> None:
    """Draw the gallery into a .png file. UsageError where it cannot be written."""
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(f"{path} must end in {_SUFFIX}")
    file = BytesIO()
    draw(sheet(gallery)).save(file, format="PNG", optimize=True)
    with named_by_a_user(path):
        write_bytes(path, file.getvalue())


def sheet(gallery: Gallery) -> Sheet:
    """The layout of a gallery: tiles in columns as wide as the widest caption."""
    pitch = max([*map(_extent, _pictures(gallery)), *(_width(title, _TEXT) for title, _ in _GROUPS)]) + _GAP
    k = max([1, *(max(len(one.proponents), len(one.opponents)) for one in gallery.decisions)])
    n_columns = max(2 * k + 1, len(gallery.most))
    made = Sheet(2 * _MARGIN + n_columns * pitch - _GAP + 2 * _GROUP)
    _write_title(made, gallery)
    below = _below("each", gallery, _MEMORIZATION)
    _place_memorized(made, "Most memorized train points", below, gallery.most, pitch=pitch)
    _place_memorized(made, "Least memorized train points", below, gallery.least, pitch=pitch)
    _place_decisions(made, gallery, k=k, pitch=pitch)
    _write_legend(made, gallery)
    made.height += _MARGIN
    return made


def draw(sheet: Sheet) -> Image.Image:
    """The sheet as a picture. Pixels of the data are repeated, never mixed."""
    image = Image.new("RGB", (sheet.width, sheet.height), _PAPER)
    pen = ImageDraw.Draw(image)
    for bar in sheet.bars:
        pen.rectangle((bar.left, bar.top, bar.left + bar.width - 1, bar.top + 1), fill=bar.colour)
    for tile in sheet.tiles:
        pixels = tile.picture.pixels[:: tile.stride, :: tile.stride]
        shown = Image.fromarray((pixels[..., 0] if pixels.shape[2] == 1 else pixels).contiguous().numpy())
        shown = shown.resize((shown.width * tile.scale, shown.height * tile.scale), Image.Resampling.NEAREST)
        edge, colour = (4, _RED) if tile.picture.point.wrong else (1, _FRAME)
        corners = (
            tile.left - edge,
            tile.top - edge,
            tile.left + shown.width + edge - 1,
            tile.top + shown.height + edge - 1,
        )
        pen.rectangle(corners, fill=colour)
        image.paste(shown, (tile.left, tile.top))
    for words in sheet.words:
        pen.text((words.left, words.top), words.text, font=_font(words.size), fill=words.colour)
    return image


def _write_title(made: Sheet, gallery: Gallery) -> None:
    result = gallery.stored.result
    trust = gallery.stored.trust
    known = trust.reliability.value
    reliability = "" if known is None else f" (reliability of influence {decimal(known)})"
    shown = [title for title, has in (("memorization", gallery.most), ("influence", gallery.decisions)) if has]
    by = "" if gallery.by == TRUTH else f" by {gallery.by}"
    made.write(f"{' and '.join(shown).capitalize()}{by}", size=_TITLE)
    made.height += 6
    made.write(result.problem.name)
    made.write(
        f"{count(result.problem.n_train, 'train point')}, {count(result.problem.n_test, 'test point')}, each train "
        f"point left out with {count(trust.n_seeds, 'seed')}{reliability}",
        colour=_GREY,
    )


def _write_heading(made: Sheet, title: str, below: str) -> None:
    made.height += 26
    made.write(title, size=_HEADING)
    made.write(below, colour=_GREY)
    made.height += 10


def _write_legend(made: Sheet, gallery: Gallery) -> None:
    made.height += 16
    if any(picture.point.wrong for picture in _pictures(gallery)):
        made.write("Framed in red: a train label that was drawn at random, and is wrong.", colour=_RED)
    if (gallery.black, gallery.white) != (0, 1):
        made.write(f"Inputs of {gallery.black:.3g} are black, those of {gallery.white:.3g} white.", colour=_GREY)


def _below(point: str, gallery: Gallery, effect: str) -> str:
    """The meaning of the numbers: the truth's effect, or an estimator's score for it."""
    of_truth = gallery.by == TRUTH
    return f"Below {point}: {effect if of_truth else f'the score of {gallery.by}, in units of its own'}, and its id."


def _place_memorized(made: Sheet, title: str, below: str, pictures: Sequence[Picture], *, pitch: int) -> None:
    """A section of one row, from margin to margin; nothing if its tiles are empty."""
    if not pictures:
        return
    _write_heading(made, title, below)
    spread = (made.width - 2 * _MARGIN + _GAP - pitch) // max(1, len(pictures) - 1)
    made.height = _place(made, pictures, left=_MARGIN, top=made.height, pitch=max(pitch, spread))


def _place_decisions(made: Sheet, gallery: Gallery, *, k: int, pitch: int) -> None:
    """A section with a row for each test point: itself, its proponents, its opponents, each group below a bar."""
    if not gallery.decisions:
        return
    measure = gallery.stored.result.problem.measure
    _write_heading(
        made,
        "Who helps and who hurts a test point",
        _below("each train point", gallery, f"{measure} of the test point when trained with it minus that without"),
    )
    lefts = (_MARGIN, _MARGIN + pitch + _GROUP, _MARGIN + (k + 1) * pitch + 2 * _GROUP)
    widths = (pitch - _GAP, k * pitch - _GAP, k * pitch - _GAP)
    made.words += [Words(left, made.height, *title) for left, title in zip(lefts, _GROUPS, strict=True)]
    made.height += round(_LINE * _TEXT)
    for decision in gallery.decisions:
        groups = ([decision.test], decision.proponents, decision.opponents)
        top, bottoms = made.height + 10, []
        for left, width, (_, colour), pictures in zip(lefts, widths, _GROUPS, groups, strict=True):
            made.bars.append(Bar(left, made.height, width, colour))
            bottoms.append(_place(made, pictures, left=left, top=top, pitch=pitch))
            if not pictures:
                made.words.append(Words(left, top, "none", _GREY))
        made.height = max(bottoms) + 14


def _place(made: Sheet, pictures: Sequence[Picture], *, left: int, top: int, pitch: int) -> int:
    """Tiles side by side with their captions; where they end."""
    bottom = top
    for number, picture in enumerate(pictures):
        scale, stride = _scale(picture)
        at = left + number * pitch
        made.tiles.append(Tile(at, top, picture, scale, stride))
        below = top + -(-picture.pixels.shape[0] // stride) * scale + 6
        for text, colour in _caption(picture):
            made.words.append(Words(at, below, text, colour))
            below += round(_LINE * _TEXT)
        bottom = max(bottom, below)
    return bottom


def _caption(picture: Picture) -> Iterator[tuple[str, str]]:
    """Its label; below it score and id."""
    point, score = picture.point, ""
    if picture.score is not None:
        score = f"{(decimal if picture.of_probability else effect)(picture.score)}   "
    yield (f"label {label(point)}, wrong", _RED) if point.wrong else (f"label {label(point)}", _INK)
    yield f"{score}id {point.id}", _GREY


def _pictures(gallery: Gallery) -> Iterator[Picture]:
    yield from (*gallery.most, *gallery.least)
    for decision in gallery.decisions:
        yield from (decision.test, *decision.proponents, *decision.opponents)


def _extent(picture: Picture) -> int:
    """The width of the picture with its caption."""
    scale, stride = _scale(picture)
    captions = (_width(text, _TEXT) for text, _ in _caption(picture))
    return max(-(-picture.pixels.shape[1] // stride) * scale, *captions)


def _scale(picture: Picture) -> tuple[int, int]:
    """The number of times each pixel is repeated, and the stride at which pixels are drawn."""
    longest = max(picture.pixels.shape[:2])
    return max(1, _TILE // longest), -(-longest // _LARGEST)


def _lines(text: str, size: int, width: int) -> Iterator[str]:
    """The text in lines that are not wider, broken between words, or within one that is too long."""
    line = ""
    for word in text.split():
        if line and _width(f"{line} {word}", size) > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while _width(line, size) > width:
            fits = next(n for n in range(len(line), 0, -1) if n == 1 or _width(line[:n], size) <= width)
            yield line[:fits]
            line = line[fits:]
    yield line


def _width(text: str, size: int) -> int:
    return int(_font(size).getlength(text)) + 1


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
