"""The report of a run: one page that needs no other file, its figures, and a summary in Markdown.

Made from the CSV files alone, so that a run from another machine renders too. Two renderings of one run are the same
bytes: there is no time of day in them and no name that is drawn by chance. Texts from the tables are text wherever they
come to stand: the page is rendered with autoescape and carries a policy that allows no source but itself, figures
parse no formulas, and no file is named after what a table says without being reduced to letters and digits.
"""
