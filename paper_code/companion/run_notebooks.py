"""Run notebooks, each in a kernel of its own, two at a time.

    python -m paper_code.companion.run_notebooks [-p name value] notebooks/07_ridge.ipynb …

They run from the project's root, in kernels of this very Python. Without parameters a run writes
the project's results and figures, and its executed copy into `build/notebooks`; with parameters,
all of that into `build/07_ridge/<parameters>`; `--output folder` names another folder in place of
`build`. A copy appears only when the whole notebook succeeded; what a failed one left stays in
`unfinished` beside it.
"""

import argparse
import ast
import json
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from paper_code.companion import files
from paper_code.companion.parameters import ParameterError, build_folder, same_type

AT_ONCE = 2
CELL_SECONDS = 900
START_SECONDS = 60
REPORT_SECONDS = 20
# Two notebooks share the cores, and one thread each adds up in the same order on every run.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class NotebookFailure(Exception):
    """A notebook did not run to its end; the message says where and why."""


def parameters_of(notebook: Path) -> dict[str, Any]:
    """What the notebook's one cell tagged `parameters` assigns, by name."""
    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"{notebook.name} has {len(tagged)} cells tagged 'parameters', not one")
    lines = [line for line in ast.parse(tagged[0].source).body if isinstance(line, ast.Assign)]
    return {
        target.id: ast.literal_eval(line.value)
        for line in lines
        for target in line.targets
        if isinstance(target, ast.Name)
    }


def literal(text: str) -> Any:
    """The value that a command-line word spells: a Python literal, true or false, else itself.

    >>> literal("1e-4"), literal("true"), literal("[1, 2]"), literal("topk")
    (0.0001, True, [1, 2], 'topk')
    """
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


def changed(notebook: Path, given: Mapping[str, object]) -> dict[str, Any]:
    """Which of the parameters `given` differ from those in the notebook.

    Raises ValueError for a missing notebook, an unknown parameter (papermill only warns) and a
    value of another type.
    """
    if not notebook.is_file():
        raise ValueError(f"there is no notebook {notebook}")
    known = parameters_of(notebook)
    for name in given:
        if name not in known:
            raise ValueError(f"{notebook.name} has no parameter {name!r}; it has {list(known)}")
    values = {name: same_type(name, given[name], known[name]) for name in known if name in given}
    return {name: value for name, value in values.items() if value != known[name]}


def execute(notebook: Path, copy: Path, parameters: Mapping[str, object]) -> None:
    """Run `notebook` and put the executed copy at `copy`, or raise NotebookFailure.

    What a failed one left goes into the folder `unfinished` beside the copy's.
    """
    started = time.time()
    unfinished = copy.parent.parent / "unfinished" / copy.name
    running = unfinished.with_name(f".{copy.stem}.{os.getpid()}.ipynb")  # another run has its own
    for path in (copy, unfinished):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _execute_into(running, notebook, parameters)
        # As old as its beginning: whatever was edited while it ran is newer, so make runs it again.
        os.utime(running, (started, started))
        os.replace(running, copy)
    except PapermillExecutionError as error:
        if error.ename == ParameterError.__name__:
            raise NotebookFailure(error.evalue) from None
        lines = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        raise NotebookFailure(f"{lines}\nSee {unfinished}") from None
    except CellTimeoutError:
        raise NotebookFailure(f"a cell ran for more than {CELL_SECONDS} s") from None
    except DeadKernelError:
        raise NotebookFailure("its kernel died: killed, or out of memory") from None
    finally:
        if running.exists():
            os.replace(running, unfinished)


def written_by(copy: Path) -> list[str]:
    """The files that a notebook said it wrote, by its executed copy."""
    cells = nbformat.read(copy, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    lines = "".join(output.get("text", "") for output in outputs).splitlines()
    return [line.removeprefix("wrote ") for line in lines if line.startswith("wrote ")]


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
    copies: Mapping[Path, Path], given: Mapping[Path, Mapping[str, object]]
) -> list[Path]:
    """Run the notebooks, whose executed copies `copies` names, and return those that failed.

    `given` holds the parameters of each.

    Tells the progress on screen, and what each wrote.
    """
    print(f"Running {len(copies)} notebook(s), {AT_ONCE} at a time.", flush=True)
    began, whole = time.monotonic(), _seconds_last_time(copies.values())
    failed = []
    pool = ThreadPoolExecutor(AT_ONCE)  # no `with`: an interrupt must not wait for running cells
    jobs = {pool.submit(execute, path, copies[path], given[path]): path for path in copies}
    left = set(jobs)
    while left:
        done, left = wait(left, REPORT_SECONDS, FIRST_COMPLETED)
        seconds = f"{time.monotonic() - began:5.0f} s"
        for job in done:
            path = jobs[job]
            if failure := job.exception():
                failed.append(path)
                print(f"{seconds}  FAILED {path.stem}\n{_reason(failure)}", flush=True)
            else:
                print(f"{seconds}  done   {path.stem}", flush=True)
                for name in [*written_by(copies[path]), files.shown(copies[path])]:
                    print(f"         wrote {name}", flush=True)
        if not done:
            names = ", ".join(sorted(jobs[job].stem for job in left if job.running()))
            rest = whole - (time.monotonic() - began)
            says = f"; about {rest:.0f} s left, by the last time" if rest > 0 else ""
            print(f"{seconds}  still running {names}{says}", flush=True)
    return failed


def _seconds_last_time(copies: Collection[Path]) -> float:
    """What running these took, by their copies; 0 where one was never run."""
    if not all(copy.exists() for copy in copies):
        return 0.0
    told = [nbformat.read(copy, as_version=4).metadata["papermill"]["duration"] for copy in copies]
    return max([sum(told) / AT_ONCE, *told])


def _reason(failure: BaseException) -> str:
    if isinstance(failure, NotebookFailure):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"


@contextmanager
def kernels_of_this_python() -> Iterator[None]:
    """Let `python3` mean this interpreter, whatever kernels are installed, on one thread each."""
    before = os.environ.copy()
    argv = [sys.executable, "-m", "ipykernel_launcher", "--log-level=CRITICAL"]
    spec = {"argv": [*argv, "-f", "{connection_file}"], "language": "python"}
    with TemporaryDirectory() as home:
        spec_file = Path(home) / "kernels" / "python3" / "kernel.json"
        files.atomic_write(spec_file, json.dumps({**spec, "display_name": "Python 3"}))
        paths = [home, before.get("JUPYTER_PATH", "")]
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, paths))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def run_for_the_project(notebooks: Sequence[Path]) -> list[Path]:
    """Run notebooks as they are, writing the project's results; returns those that failed."""
    os.environ[files.OUTPUT_VARIABLE] = str(files.project())
    copies = {path: files.project() / "build" / "notebooks" / path.name for path in notebooks}
    with kernels_of_this_python():
        return execute_all(copies, {path: {} for path in notebooks})


def run_elsewhere(given: Mapping[Path, Mapping[str, object]], folder: Path) -> list[Path]:
    """Run the notebooks with the parameters `given` of each, writing below `folder`.

    Returns those that failed.

    Raises ValueError as `changed` does, before anything runs.
    """
    os.environ[files.OUTPUT_VARIABLE] = str(folder.resolve())
    folders = {path: build_folder(path.stem, changed(path, given[path])) for path in given}
    copies = {path: folders[path] / path.name for path in given}
    with kernels_of_this_python():
        return execute_all(copies, given)


def until_interrupted(main: Callable[[], int]) -> NoReturn:
    """End the process with the status of `main`; on Ctrl-C, without waiting for running cells."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted: what was finished stays, make runs the rest again.", flush=True)
        os._exit(130)  # a kernel ends when it sees us gone


def main(arguments: list[str] | None = None) -> int:
    """Run notebooks and return 1 if any failed, 2 if they cannot be run as asked."""
    parser = argparse.ArgumentParser(prog="python -m paper_code.companion.run_notebooks")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="notebook")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--output", type=Path, help="folder of the run in place of build")
    options = parser.parse_args(arguments)
    given = {name: literal(text) for name, text in options.p}
    try:
        for notebook in options.notebooks:
            changed(notebook, given)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if options.output or given:
        folder = options.output or files.project() / "build"
        return int(bool(run_elsewhere(dict.fromkeys(options.notebooks, given), folder)))
    return int(bool(run_for_the_project(options.notebooks)))


if __name__ == "__main__":
    until_interrupted(main)
