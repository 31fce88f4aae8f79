"""Pictures in folders: the pixels and classes that are read, and one sentence for each folder that does not fit."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from influbench.datasets.files import Folder
from influbench.engine.boundary import checked_data
from influbench.errors import DataError

RNG = np.random.default_rng(0)
GRAY, COLOR = (6, 5), (6, 5, 3)


def drawn(folder: Path, pictures: Mapping[str, tuple[int, ...]]) -> Folder:
    """A folder with a picture of this shape at each path."""
    for path, shape in pictures.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(folder / path)
    return Folder(str(folder))


def pool(n: int = 3, shape: tuple[int, ...] = COLOR) -> dict[str, tuple[int, ...]]:
    return {f"{name}/{number}.png": shape for name in ("cat", "ant", "bee") for number in range(n)}


def test_pixels_labels_and_ids_are_those_of_torchvision(tmp_path: Path) -> None:
    data = checked_data(drawn(tmp_path, pool()).load(3), name="it", dtype=torch.float32)
    peer = ImageFolder(str(tmp_path))
    assert (len(data.train), len(data.test), data.n_classes) == (6, 3, 3)
    assert data.class_names == ("ant", "bee", "cat")
    for split in (data.train, data.test):
        for pixels, label, id_ in zip(split.inputs, split.labels.tolist(), split.ids.tolist(), strict=True):
            picture, expected = peer[id_]
            assert label == expected
            assert torch.equal(pixels, torch.from_numpy(np.array(picture).transpose(2, 0, 1) / np.float32(255)))


def test_train_and_test_folders_stay_apart(tmp_path: Path) -> None:
    pictures = {f"{side}/{path}": shape for side in ("train", "test") for path, shape in pool(2).items()}
    data = drawn(tmp_path, {**pictures, "val/ant/0.png": COLOR}).load(0)
    assert data.train.ids.tolist() + data.test.ids.tolist() == list(range(12))
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    expected = np.asarray(Image.open(tmp_path / "test" / "ant" / "1.png")).transpose(2, 0, 1) / np.float32(255)
    assert torch.equal(data.test.inputs[1], torch.from_numpy(expected))
    assert data.notes == ("The pictures in val are not used.",)
    few = Folder(str(tmp_path), n_train=3).load(0)
    assert (len(few.train), len(few.test)) == (3, 6)


def test_gray_pictures_have_one_channel_unless_others_have_color(tmp_path: Path) -> None:
    gray = drawn(tmp_path / "gray", pool(shape=GRAY)).load(0)
    assert gray.train.inputs.shape[1:] == (1, 6, 5)
    assert gray.notes == ()
    mixed = drawn(tmp_path / "mixed", {**pool(shape=COLOR), "ant/0.png": GRAY, "bee/0.png": (6, 5, 4)}).load(0)
    assert mixed.train.inputs.shape[1:] == (3, 6, 5)
    assert mixed.notes == (
        "1 of 9 pictures are gray and have three equal channels.",
        "1 of 9 pictures have an alpha channel, which is left out.",
    )


def test_sixteen_bits_are_not_clipped(tmp_path: Path) -> None:
    folder = drawn(tmp_path, pool(shape=GRAY))
    deep = RNG.integers(0, 65536, GRAY, dtype=np.uint16)
    for path in pool():
        Image.fromarray(deep).save(tmp_path / path)
    assert torch.equal(folder.load(0).train.inputs[0, 0], torch.from_numpy(deep / np.float32(65535)))


def test_pictures_of_several_sizes_are_resized_where_that_is_asked_for(tmp_path: Path) -> None:
    several = drawn(tmp_path, {**pool(), "ant/0.png": (9, 7, 3)})
    with pytest.raises(DataError) as caught:
        several.load(0)
    assert str(caught.value) == (
        f"{tmp_path.name} holds pictures of 2 sizes, from 5 x 6 to 7 x 9 pixels; resize them with [size=32] after its "
        "name"
    )
    data = Folder(str(tmp_path), size=4).load(0)
    assert data.train.inputs.shape[1:] == (3, 4, 4)
    assert data.notes == ("9 of 9 pictures are resized to 4 x 4 pixels.",)
    assert 0 <= float(data.train.inputs.min()) <= float(data.train.inputs.max()) <= 1


WRONG: dict[str, dict[str, tuple[int, ...]]] = {
    "holds no folders; a folder for each class is expected, for instance cat/1.png and dog/1.png": {"1.png": COLOR},
    "has pictures of one class, cat; a folder for each class is expected": {"cat/1.png": COLOR},
    "has train and not test with folders of classes in it; add test, or name {path}/train to draw test points from "
    "it": {
        "train/cat/1.png": COLOR,
        "train/dog/1.png": COLOR,
    },
    "holds no pictures in test": {"train/cat/1.png": COLOR, "train/dog/1.png": COLOR, "test/cat/more": ()},
    "holds no pictures in its folders cat, dog": {"cat/words": (), "dog/words": ()},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_folder_that_does_not_fit_is_one_sentence(sentence: str, tmp_path: Path) -> None:
    for path, shape in WRONG[sentence].items():
        if shape:
            drawn(tmp_path, {path: shape})
        else:
            (tmp_path / path).mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        Folder(str(tmp_path)).load(0)
    assert str(caught.value) == f"{tmp_path.name} {sentence.format(path=tmp_path)}"


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    folder = drawn(tmp_path, pool())
    whole = (tmp_path / "bee" / "1.png").read_bytes()
    (tmp_path / "bee" / "1.png").write_bytes(b"words")
    for content in (b"words", whole[:60]):
        (tmp_path / "bee" / "1.png").write_bytes(content)
        with pytest.raises(DataError) as caught:
            folder.load(0)
        assert str(caught.value) == f"{tmp_path.name} holds bee/1.png, which is damaged or not a picture"
    with pytest.raises(DataError, match=r"cannot read .*nowhere: No such folder"):
        Folder(str(tmp_path / "nowhere")).load(0)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Folder(str(tmp_path), size=0)
