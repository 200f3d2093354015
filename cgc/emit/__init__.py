"""From a program to files: contexts for the templates, rendering, and what is written where."""
