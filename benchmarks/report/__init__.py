"""One self-contained HTML page over a results file: tables and hand-made inline SVG.

Grouping (:mod:`.measured`), :mod:`.downsampling` and the geometry in :mod:`.charts` are pure; each
chart is one file; :mod:`.page` fills the template. Nothing here measures, and the page loads
nothing.
"""
