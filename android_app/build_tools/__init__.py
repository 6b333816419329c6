"""Builds the Android runner app from pinned parts, without Google's SDK and without Gradle.

Needs Python 3.11 alone; ``python -m build_tools TARGET`` from ``android_app/``.
"""
