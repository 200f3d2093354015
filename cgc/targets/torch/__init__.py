"""PyTorch, the reference target."""
