"""The contract of a compressor, and every compressor."""
