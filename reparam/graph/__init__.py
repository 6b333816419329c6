"""Reading and editing graphs of ATen operators; no pass lives here."""
