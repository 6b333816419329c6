"""The measuring app on a phone: installed, started, read, cleared."""
