"""cnn-export: trained CNN checkpoints to verified mobile artifacts.

The package is lazy: importing it loads neither torch nor any vendor package.
"""

from __future__ import annotations

__version__ = "0.1.0"
