"""Compressed messages between workers: torch.distributed and Flower."""
