"""The one exception of the wire."""


class FormatError(ValueError):
    """Bytes that are not a valid frame, or a payload that no encoder writes."""
