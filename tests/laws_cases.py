"""One list of compressors: whatever is on it has to obey every law of ``laws``."""

from paper_code import Compressor
from paper_code.compressors.registry import every

CASES: list[Compressor] = every()
