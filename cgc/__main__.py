"""``python -m cgc``."""

from cgc.cli.main import main

main()
