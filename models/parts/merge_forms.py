"""The three forms of networks whose blocks merge to one convolution: ACNet's and DBB's."""

from __future__ import annotations

from typing import Literal, get_args

Form = Literal["trained", "deployed", "plain"]
FORMS: tuple[Form, ...] = get_args(Form)
"""With blocks, with one convolution for each block, or with plain ones: the baseline's."""
