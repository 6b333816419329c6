"""``make app-jvm`` and the tests: the app's classes on a JVM, with and without Robolectric."""
