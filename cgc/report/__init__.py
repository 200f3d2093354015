"""What is known of a spec, for people."""
