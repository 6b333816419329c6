"""A real browser that looks at a page: what it measures comes back as one JSON document.

The page stands unchanged in a frame of the width asked for, its own content security policy in
force; the script that measures is the outer document's.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MEASURING = (Path(__file__).parent / "browser_measuring.js").read_text(encoding="utf-8")
_DARK = "--blink-settings=preferredColorScheme=0"
_TIMEOUT_S = 120


def require_browser() -> str:
    """Return the browser's path; skips where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium here; 'apt-get install chromium' lets this test look at the page")
    return found


def looked_at(page: str, folder: Path, *, width: int, dark: bool) -> dict[str, Any]:
    """Return what the browser finds on ``page`` in a window of ``width`` CSS pixels."""
    outer = folder / f"outer_{width}_{dark}.html"
    style = f"border:0;width:{width}px;height:9000px"
    outer.write_text(
        f'<!doctype html><meta charset="utf-8"><title>untouched</title><body style="margin:0">'
        f'<iframe id="page" style="{style}" srcdoc="{html.escape(page)}"></iframe>'
        f'<pre id="found"></pre><script>{MEASURING}</script>',
        encoding="utf-8",
    )
    command = [
        require_browser(),
        *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 800)},9000"),
        *([_DARK] if dark else []),
        outer.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert found, "the browser measured nothing"
    return json.loads(html.unescape(found[1]))
