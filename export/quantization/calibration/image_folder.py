"""Images of a folder as samples: regular files, in the order of their paths."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from pathlib import Path

from cnn_export.errors import InputRefused
from cnn_export.program.normalization import Normalization
from cnn_export.program.tensors import TensorSpec
from cnn_export.proof.images import IMAGE_SUFFIXES, ImageForm, image_form, read_image
from cnn_export.proof.sample_values import read_failure
from cnn_export.quantization.calibration.sample_source import (
    Reader,
    ReadSample,
    SourceKind,
    UnusableSample,
)
from cnn_export.untrusted.regular_file import opened


class ImageFolder:
    """All images below a folder, through the reader and normalization of the parity samples.

    Candidates are files whose name ends like an image's; hidden ones, and what is behind a link to
    a folder, are none.
    """

    kind: SourceKind = "images"
    order = "by path"

    def __init__(
        self,
        folder: Path,
        specs: Sequence[TensorSpec],
        normalization: Normalization | None,
        *,
        pixels: bool,
    ) -> None:
        """List the folder.

        Raises:
            InputRefused: several inputs, one that is no image, no images, or not to be listed.
        """
        if len(specs) != 1:
            raise InputRefused(
                f"{folder} holds images, but the network takes {len(specs)} inputs; give an .npz"
                f" file with arrays {', '.join(repr(spec.name) for spec in specs)}"
            )
        self._folder, self._input = folder, specs[0].name
        self._form = image_form(folder, specs[0], normalization, pixels=pixels)
        self._names = _image_names(folder)

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self._names)

    def name(self, index: int) -> str:
        """Return an image's path within the folder, with slashes."""
        return self._names[index]

    @contextlib.contextmanager
    def reading(self) -> Generator[Reader]:
        """Yield a reader that opens one file a call."""
        yield lambda index: _read(self._folder / self._names[index], self._input, self._form)


def _read(path: Path, name: str, form: ImageForm) -> ReadSample:
    try:
        with opened(path) as file:
            image = read_image(file, form)
    except InputRefused as error:
        raise UnusableSample(str(error).removeprefix(str(path)).strip()) from error
    # Damage shows as whatever Pillow's decoders stumble over.
    except Exception as error:
        raise UnusableSample(read_failure(error)) from error
    return ReadSample({name: image.values}, image.converted)


def _image_names(folder: Path) -> list[str]:
    """Return the paths below ``folder`` of all images, sorted, with slashes."""
    found: list[str] = []
    others = 0
    for parent, folders, files in os.walk(folder, onerror=_refuse_listing):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        images = [name for name in files if _is_image(name)]
        others += len(files) - len(images)
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in images]
    if not found:
        what = f"{others} files and no image among them" if others else "no file"
        raise InputRefused(f"{folder} holds {what}; give a folder of {', '.join(IMAGE_SUFFIXES)}")
    return sorted(found)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def _refuse_listing(error: OSError) -> None:
    raise InputRefused(f"{error.filename} cannot be listed: {error.strerror}") from error
