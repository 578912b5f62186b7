"""What messages cost and how far they are off, measured."""
