"""A convolutional code used backwards as a source code."""
