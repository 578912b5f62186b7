"""Run notebooks, each in a kernel of its own, two at a time.

    python -m paper_code.companion.run_notebooks [-p name value] notebooks/07_ridge.ipynb …

Each runs from the project's root, in a kernel of this very Python, two at a time. The executed copy
appears in `build/notebooks` only when the whole notebook succeeded; what a failed one left stays in
`build/unfinished`. `--output folder` sends copies, results and figures to that folder instead.
"""

import argparse
import ast
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from paper_code.companion import files

AT_ONCE = 2
CELL_SECONDS = 900
START_SECONDS = 60
REPORT_SECONDS = 20
# Two notebooks share the cores, and one thread each adds up in the same order on every run.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class NotebookFailure(Exception):
    """A notebook did not run to its end; the message says where and why."""


def parameter_names(notebook: Path) -> list[str]:
    """The names that the notebook's one cell tagged `parameters` assigns."""
    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"{notebook.name} has {len(tagged)} cells tagged 'parameters', not one")
    lines = [line for line in ast.parse(tagged[0].source).body if isinstance(line, ast.Assign)]
    return [target.id for line in lines for target in line.targets if isinstance(target, ast.Name)]


def literal(text: str) -> Any:  # noqa: ANN401 - whatever the text spells
    """The value that a command-line word spells: a Python literal, true or false, else itself.

    >>> literal("1e-4"), literal("true"), literal("[1, 2]"), literal("topk")
    (0.0001, True, [1, 2], 'topk')
    """
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


def check(notebook: Path, parameters: Mapping[str, object]) -> None:
    """Raise ValueError for a missing notebook or an unknown parameter (papermill only warns)."""
    if not notebook.is_file():
        raise ValueError(f"there is no notebook {notebook}")
    known = parameter_names(notebook)
    for name in parameters:
        if name not in known:
            raise ValueError(f"{notebook.name} has no parameter {name!r}; it has {known}")


def execute(notebook: Path, folder: Path, parameters: Mapping[str, object]) -> None:
    """Run `notebook` and put the executed copy into `folder/notebooks`, or raise NotebookFailure.

    Until it has succeeded the copy is in `folder/unfinished`.
    """
    started = time.time()
    finished, unfinished = (folder / part / notebook.name for part in ("notebooks", "unfinished"))
    for path in (finished, unfinished):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _execute_into(unfinished, notebook, parameters)
    except PapermillExecutionError as error:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        raise NotebookFailure(f"{lines}\nSee {unfinished}") from None
    except CellTimeoutError:
        raise NotebookFailure(f"a cell ran for more than {CELL_SECONDS} s") from None
    except DeadKernelError:
        raise NotebookFailure("its kernel died: killed, or out of memory") from None
    # As old as its beginning: whatever was edited while it ran is newer, so make runs it again.
    os.utime(unfinished, (started, started))
    os.replace(unfinished, finished)


def _execute_into(output: Path, notebook: Path, parameters: Mapping[str, object]) -> None:
    for last_attempt in (False, True):
        try:
            papermill.execute_notebook(
                notebook,
                output,
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                cwd=files.ROOT,
                progress_bar=False,
                start_timeout=START_SECONDS,
                execution_timeout=CELL_SECONDS,
            )
            return
        except RuntimeError as error:
            # Another program's kernel may have taken the port that was chosen for ours.
            if last_attempt or not re.match(r"Kernel (died before|didn't respond)", str(error)):
                raise


def execute_all(
    notebooks: Sequence[Path], folder: Path, parameters: Mapping[str, object]
) -> list[Path]:
    """Run the notebooks, telling the progress on screen, and return those that failed."""
    began, whole = time.monotonic(), _seconds_last_time(notebooks, folder)
    failed = []
    pool = ThreadPoolExecutor(AT_ONCE)  # no `with`: an interrupt must not wait for running cells
    jobs = {pool.submit(execute, path, folder, parameters): path for path in notebooks}
    left = set(jobs)
    while left:
        done, left = wait(left, REPORT_SECONDS, FIRST_COMPLETED)
        seconds = f"{time.monotonic() - began:5.0f} s"
        for job in done:
            if failure := job.exception():
                failed.append(jobs[job])
                print(f"{seconds}  FAILED {jobs[job].stem}\n{_reason(failure)}", flush=True)
            else:
                print(f"{seconds}  done   {jobs[job].stem}", flush=True)
        if not done:
            names = ", ".join(sorted(jobs[job].stem for job in left if job.running()))
            rest = whole - (time.monotonic() - began)
            says = f"; about {rest:.0f} s left, by the last time" if rest > 0 else ""
            print(f"{seconds}  still running {names}{says}", flush=True)
    return failed


def _seconds_last_time(notebooks: Sequence[Path], folder: Path) -> float:
    """What running these took, by the copies in ``folder``; 0 where one was never run."""
    copies = [folder / "notebooks" / path.name for path in notebooks]
    if not all(copy.exists() for copy in copies):
        return 0.0
    told = [nbformat.read(copy, as_version=4).metadata["papermill"]["duration"] for copy in copies]
    return max([sum(told) / AT_ONCE, *told])


def _reason(failure: BaseException) -> str:
    if isinstance(failure, NotebookFailure):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"


def _name_this_python_as_kernel(home: Path) -> None:
    """Let `python3` mean this interpreter, whatever kernels are installed on the machine."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "--log-level=CRITICAL"]
    spec = {"argv": [*argv, "-f", "{connection_file}"], "language": "python"}
    spec_file = home / "kernels" / "python3" / "kernel.json"
    files.atomic_write(spec_file, json.dumps({**spec, "display_name": "Python 3"}))
    paths = [str(home), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, paths))


def main(arguments: list[str] | None = None) -> int:
    """Run notebooks and return 1 if any failed, 2 if they cannot be run as asked."""
    parser = argparse.ArgumentParser(prog="python -m paper_code.companion.run_notebooks")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="notebook")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--output", type=Path, help="folder for copies, results and figures")
    options = parser.parse_args(arguments)
    parameters = {name: literal(text) for name, text in options.p}
    try:
        for notebook in options.notebooks:
            check(notebook, parameters)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    folder = (options.output or files.ROOT / "build").resolve()
    os.environ[files.OUTPUT_VARIABLE] = str(folder if options.output else files.project())
    for variable in ONE_THREAD:
        os.environ[variable] = "1"
    _name_this_python_as_kernel(folder / "jupyter")
    print(f"Running {len(options.notebooks)} notebook(s), {AT_ONCE} at a time.", flush=True)
    return int(bool(execute_all(options.notebooks, folder, parameters)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted: what was finished stays, make runs the rest again.", flush=True)
        os._exit(130)  # not waiting for running cells; a kernel ends when it sees us gone
