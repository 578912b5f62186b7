"""Spherical Compression."""
