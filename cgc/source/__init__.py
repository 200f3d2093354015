"""Text that users write: files, places in them, and what is said about them. Imports nothing of cgc."""
