"""One file of drawings for each notebook: numbers in, a figure out, nothing computed."""
