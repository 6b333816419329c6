"""The runtimes of this host, behind one contract."""
