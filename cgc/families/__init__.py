"""What the densities are: one file per family, each a few lines over the general forms of ``forms.py``."""
