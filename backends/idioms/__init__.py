"""Idioms: how a user of each framework writes a function, or a question to its tape.

One module per framework, named like its backend. All entries are source texts, so that importing a module imports no
framework. They run in the names of `Backend.idiom_scope`.

``PRELUDE``
    Statements that run first, such as imports.
``FUNCTIONS``
    Function name -> an expression, or a ``def`` of that name. It lists what the array API standard lacks and what the
    framework has under another name. Any other name is looked up in the backend's namespace ``xp``; a name in
    neither place is one that the framework does not have.
``TAPE``
    Question of ``problems/tape.py`` -> statements that set ``answer``. Adapters use it as `Backend.idioms`.
"""
