"""True classes of samples: from files and folders, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.errors import InputRefused
from cnn_export.quantization.calibration.labels import folder_labels, read_labels

NAMES = ("cat/a.png", "b.png", "c,d.png")


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", 'cat/a.png,2\nb.png,0\n"c,d.png", 9\n'),
        (
            "l.csv",
            '\ufefffile,label\r\ncat/a.png,2\r\n\r\nb.png,0\r\n"c,d.png",9\r\nother.png,3\r\n',
        ),
        ("l.json", json.dumps({"cat/a.png": 2, "b.png": "0", "c,d.png": 9, "other": 1})),
    ],
)
def test_numbers_are_classes(tmp_path: Path, name: str, text: str) -> None:
    assert read_labels(written(tmp_path, name, text), NAMES, 10) == (2, 0, 9)


def test_names_in_alphabetical_order_are_classes(tmp_path: Path) -> None:
    path = written(tmp_path, "l.csv", "0,dog\n1,cat\n2,eel\n3,dog\n")
    assert read_labels(path, ("sample 1", "sample 0", "sample 2"), 3) == (0, 1, 2)
    with pytest.raises(InputRefused, match=r"names 3 classes \(cat, dog, eel\), the network has 4"):
        read_labels(path, ("sample 1",), 4)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.csv", "cat/a.png,2\n", r"no class for 2 of 3 samples: b.png, c,d.png"),
        ("l.csv", "cat/a.png,2\nb.png,10\n'c,d.png',1", "row 3 has 3 columns"),
        ("l.csv", 'cat/a.png,2\nb.png,10\n"c,d.png",1', "class 10: the network has classes 0 to 9"),
        ("l.csv", 'cat/a.png,-1\nb.png,1\n"c,d.png",1', "names 2 classes"),
        ("l.csv", "b.png,1\nb.png,2\n", "gives b.png two classes: 1 and 2"),
        ("l.csv", "", "no class for 3 of 3"),
        ("l.csv", b"\xff\xfe\x00", "cannot be read"),
        ("l.csv", 'a,"b\n', "cannot be read"),
        ("l.json", "{", "cannot be read"),
        ("l.json", "[1, 2, 3]", "not an object of names and classes"),
        ("l.json", '{"b.png": [1]}', "not an object of names and classes"),
        ("l.json", '{"b.png": 1.5}', "not an object of names and classes"),
        ("l.json", "[" * 100_000, "cannot be read"),
        ("l.json", '{"b.png": 1, "b.png": 2}', "two classes"),
    ],
)
def test_labels_that_are_refused(tmp_path: Path, name: str, text: str | bytes, said: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(InputRefused, match=said) as refused:
        read_labels(path, NAMES, 10)
    assert str(path) in str(refused.value)


@given(st.text(max_size=60), st.sampled_from(["l.csv", "l.json"]))
def test_any_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(InputRefused):
        read_labels(path, NAMES, 10)


def test_folders_are_classes_in_their_order(tmp_path: Path) -> None:
    for name in ("wolf", "ant", "bee", ".cache"):
        (tmp_path / name).mkdir()
    names = ("bee/1.png", "wolf/deep/2.png", "bee/3.png")
    assert folder_labels(tmp_path, names, 3) == (1, 2, 1)
    assert read_labels(tmp_path, names, 3) == (1, 2, 1)
    with pytest.raises(InputRefused, match=r"names 3 classes \(ant, bee, wolf\).* has 1000"):
        folder_labels(tmp_path, names, 1000)
    with pytest.raises(InputRefused, match=r"1 of 2 images are in no class's folder: 4.png"):
        folder_labels(tmp_path, ("bee/1.png", "4.png"), 3)


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"none.csv does not exist"):
        read_labels(tmp_path / "none.csv", NAMES, 10)


def test_numbered_folders_are_indices(tmp_path: Path) -> None:
    for name in ("7", "10"):
        (tmp_path / name).mkdir()
    assert folder_labels(tmp_path, ("10/a.png", "7/a.png"), 11) == (10, 7)
    with pytest.raises(InputRefused, match="class 10: the network has classes 0 to 9"):
        folder_labels(tmp_path, ("10/a.png",), 10)
