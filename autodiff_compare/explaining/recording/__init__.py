"""The recording of an objective as a program, and other functions that are written from it.

`recorder` calls an objective once in plain NumPy, with `arrays` and a namespace that note every operation and its
`places` in the source. The result is a `program`; `views` writes functions of it.
"""
