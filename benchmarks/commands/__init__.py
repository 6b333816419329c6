"""The subcommands of ``cnn-bench``: one module each, with a ``click.Command`` named ``command``."""
