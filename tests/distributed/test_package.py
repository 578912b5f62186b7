"""The package loads neither torch nor Flower, and says by name which one is missing."""

import subprocess
import sys

import paper_code.distributed

BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError("No module named " + name)
sys.meta_path.insert(0, Missing())
"""


def run(code: str, *missing: str) -> str:
    """What a new interpreter prints in which the packages ``missing`` cannot be imported."""
    whole = BLOCK.format(missing=missing) + code
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_loads_neither_torch_nor_flower() -> None:
    code = "import paper_code.distributed; print({'torch', 'flwr', 'matplotlib'} & {*sys.modules})"
    assert run(code) == "set()"


def test_error_feedback_and_streams_of_frames_need_no_torch() -> None:
    code = (
        "import numpy as np, paper_code\n"
        "from paper_code.distributed import ErrorFeedback, array_stream\n"
        "message, memory = ErrorFeedback(paper_code.TopK(1)).encode(np.array([3.0, 2.0]))\n"
        "print(memory, len(array_stream.to_bytes([np.ones(2)], paper_code.Identity())))"
    )
    assert run(code, "torch") == "[0. 2.] 28"


def test_without_torch_the_extra_is_named() -> None:
    code = (
        "import paper_code.distributed as distributed\n"
        "try: distributed.hook\n"
        "except ImportError as error: print(error)"
    )
    expected = "needs PyTorch for this: pip install 'optimal-gradient-compression[torch]'"
    assert run(code, "torch") == f"paper_code.distributed {expected}"


def test_every_public_name_is_there() -> None:
    for name in paper_code.distributed.__all__:
        assert getattr(paper_code.distributed, name).__name__ == name
    assert set(paper_code.distributed.__all__) <= set(dir(paper_code.distributed))
    assert not hasattr(paper_code.distributed, "nothing")
