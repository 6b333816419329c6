"""The debug key: made on the spot, kept in the cache so that builds stay the same."""

from __future__ import annotations

from pathlib import Path

from build_tools.tools import call

PASSWORD = "android"  # noqa: S105 - of a key that protects nothing: every Android SDK's debug one
ALIAS = "cnn-bench-debug"


def debug_key(folder: Path) -> Path:
    """Return the key store, making it where there is none."""
    store = folder / "debug.keystore"
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "debug.keystore.partial"
        partial.unlink(missing_ok=True)
        where = ["-keystore", partial, "-storetype", "PKCS12", "-alias", ALIAS]
        secret = ["-storepass", PASSWORD, "-keypass", PASSWORD]
        kind = ["-keyalg", "RSA", "-keysize", "2048", "-validity", "10950"]
        call(["keytool", "-genkeypair", *where, *secret, *kind, "-dname", "CN=cnn-bench debug"])
        partial.rename(store)
    return store
