"""What a page is made of: the record of a run, tables, figures with one look, numbers in words, and the page itself."""
