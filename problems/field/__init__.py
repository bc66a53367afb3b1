"""The suite ``field``: one objective from each of many fields of work, written from its mathematics.

A module holds the problems of related fields. Each title begins with the field, each source names a publication. The
objectives use the array API standard, ``xp.special`` and ``scan`` alone, and have no spelling for a single backend.
"""
