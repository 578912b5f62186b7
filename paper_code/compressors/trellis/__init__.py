"""Trellis-coded quantisation."""
