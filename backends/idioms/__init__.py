"""How each framework spells what the array API standard lacks, or spells otherwise: one table a framework.

``SPELLINGS`` maps a name to an expression in the names of `Backend.idiom_scope`, or to a ``def`` of that name;
``PRELUDE`` is run before. A name that is not listed is the namespace's, and one that is in neither the framework does
not have. These are source texts: importing a table imports no framework.
"""
