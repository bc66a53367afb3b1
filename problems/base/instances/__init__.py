"""Readers of the public instance files of ADBench, for ``--data FOLDER``: a module for each format."""
