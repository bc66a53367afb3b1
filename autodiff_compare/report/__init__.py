"""The report of a run: one self-contained HTML page, its figures, and a summary in Markdown.

It is made from the CSV files alone, so a run from another machine can be rendered too. Rendering a run twice gives the
same bytes: no time of day and no random name is in the files. Texts of the tables are never markup: the page is
rendered with autoescape and a content security policy that allows no source but itself, figures parse no formulas, and
file names are reduced to letters and digits.
"""
