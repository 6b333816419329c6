"""Have the app installed on a phone, as the foreground launch needs it."""

from __future__ import annotations

from cnn_export.benchmarks.devices.adb.app.app_package import PACKAGE
from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.errors import DeviceUnfit

_INSTALL_TIMEOUT_S = 180.0

# Prints "installed" and the hash of the APK, if it may be read; or nothing where it is not
# installed. `pm path` prints "package:" before the path.
_INSTALLED = r"""
path=$(pm path "$1") || exit 0
case $path in package:*) echo installed ;; *) exit 0 ;; esac
path=${path%%
*}
sha256sum "${path#package:}"
"""
_ADVICE = (
    ("NO_MATCHING_ABIS", "the app is not built for its ABI: build it with 'make app ABIS=…'"),
    ("OLDER_SDK", "its Android is too old for the app"),
    ("INSUFFICIENT_STORAGE", "it has no space left: free some"),
    (
        "UPDATE_INCOMPATIBLE",
        f"another build of the app is there: remove it with 'adb uninstall {PACKAGE}'",
    ),
    (
        "USER_RESTRICTED",
        "it does not let adb install apps: switch on 'Install via USB' in its developer options",
    ),
)


def installed_hash(phone: Phone) -> str | None:
    """Return the SHA-256 of the app's APK on the phone; ``None`` where it is not installed.

    It is empty where the phone does not let it be read.

    Raises:
        DeviceUnfit: the phone is lost.
    """
    words = phone.script(_INSTALLED, PACKAGE).text.split()
    return words[1] if len(words) > 1 else "" if words else None


def install(phone: Phone, apk: str) -> None:
    """Install an APK that lies on the phone, over an older one of the same key.

    Raises:
        DeviceUnfit: the phone is lost, or does not take it.
    """
    done = phone.shell(["pm", "install", "-r", "-t", apk], timeout_s=_INSTALL_TIMEOUT_S)
    said = (done.stdout + done.stderr).decode(errors="replace")
    if "Success" in said:
        return
    advice = next((advice for word, advice in _ADVICE if word in said), clean(said))
    raise DeviceUnfit(f"phone {phone.name} does not install the app: {advice}")
