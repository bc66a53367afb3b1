"""Charts: Vega-Lite specifications made from rows, which a browser, a notebook, an SVG or a PNG file shows alike."""
