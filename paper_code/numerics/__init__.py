"""Numbers as machines have them: compiled loops, float types, random streams."""
