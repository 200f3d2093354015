"""The command line: one file per command, each with a ``command`` that ``main`` finds by the file's name."""
