"""NNCodec, run by the Python of its own environment; it imports nothing of this project.

A line of JSON in, one out: {"load": path} reads a vector, {"qp", "dq", "search"} encodes and
decodes it once, {"keep": path} also writes what was decoded. Seconds are those of the thread.
"""

import json
import os
import sys
import time
from importlib import import_module
from types import ModuleType
from unittest import mock

import numpy as np


def without_what_it_does_not_use() -> ModuleType:
    """The package's compress and decompress: data sets and metrics, imported too, are stood in."""
    for name in ("torchvision", "torchmetrics", "ptflops", "pandas", "sklearn", "sklearn.metrics"):
        sys.modules[name] = mock.MagicMock()
    for name in ("cv2", "h5py", "tqdm", "click"):
        sys.modules[name] = mock.MagicMock()
    return import_module("nncodec.nnc")


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the package prints is no answer
    import_module("torch").set_num_threads(1)
    codec = without_what_it_does_not_use()
    x = np.zeros((1, 1), np.float32)
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            x = np.load(request["load"])
            x = x.reshape(-1, 1024) if x.size % 1024 == 0 else x[None]  # a matrix, as weights are
            print("{}", file=answers, flush=True)
            continue
        marks = [time.thread_time()]
        stream = codec.compress(
            {"x": x},
            qp=request["qp"],
            use_dq=request["dq"],
            param_opt=request["search"],
            return_bitstream=True,
            bitstream_path=None,
        )
        marks.append(time.thread_time())
        held = codec.decompress(stream)["x"]
        marks.append(time.thread_time())
        if "keep" in request:
            np.save(request["keep"], np.asarray(held).ravel())
        answer = {
            "bytes": len(stream),
            "encode": marks[1] - marks[0],
            "decode": marks[2] - marks[1],
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
