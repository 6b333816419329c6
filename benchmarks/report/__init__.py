"""One self-contained HTML page over a results file: tables and hand-made inline SVG.

Geometry (:mod:`.charts`, :mod:`.downsampling`) is pure; each chart is one file; :mod:`.page`
fills the template. Nothing here measures or groups, and the page loads nothing.
"""
