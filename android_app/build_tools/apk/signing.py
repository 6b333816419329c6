"""Signs the APK with a debug key, made on the spot and kept in the cache: builds stay the same."""

from __future__ import annotations

from pathlib import Path

from build_tools.apk.manifest import MIN_API
from build_tools.tools import call

_PASSWORD = "android"  # noqa: S105 - of a key that protects nothing: every Android SDK's debug one
_ALIAS = "cnn-bench-debug"


def debug_key(folder: Path) -> Path:
    """Return the key store, making it where there is none."""
    store = folder / "debug.keystore"
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "debug.keystore.partial"
        partial.unlink(missing_ok=True)
        where = ["-keystore", partial, "-storetype", "PKCS12", "-alias", _ALIAS]
        secret = ["-storepass", _PASSWORD, "-keypass", _PASSWORD]
        kind = ["-keyalg", "RSA", "-keysize", "2048", "-validity", "10950"]
        call(["keytool", "-genkeypair", *where, *secret, *kind, "-dname", "CN=cnn-bench debug"])
        partial.rename(store)
    return store


def sign(aligned: Path, key: Path, target: Path) -> None:
    """Write the signed APK under its name, whole.

    Raises:
        BuildError: what apksigner said.
    """
    partial = target.with_suffix(".partial")
    signer = ["--ks", key, "--ks-key-alias", _ALIAS, "--ks-pass", f"pass:{_PASSWORD}"]
    schemes = {"v1": "false", "v2": "true", "v3": "true", "v4": "false"}
    options = [w for name, on in schemes.items() for w in (f"--{name}-signing-enabled", on)]
    level = ["--min-sdk-version", str(MIN_API)]
    call(["apksigner", "sign", *signer, *options, *level, "--out", partial, aligned])
    partial.rename(target)
