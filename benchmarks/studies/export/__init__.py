"""Parts of the study of the exporter's speed."""
