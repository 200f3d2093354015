"""How the program is printed: one folder a target."""
