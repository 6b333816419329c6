"""A judged gate in the forms that people and services read. Pure: text in, text out."""
