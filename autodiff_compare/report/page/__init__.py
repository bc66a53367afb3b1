"""Parts of a page: the record of a run, tables, the style of figures, text, and the page that is rendered from them."""
