"""``make app``: the APK from sources and parts, and the checks of it."""
