"""Every sensible value of every parameter of every notebook works, and nonsense is refused.

`make test` runs each notebook once, quick, with all its parameters changed. `make test-parameters`
runs it once for each value of `OTHER`, quick, with that one parameter changed.
"""

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from paper_code.companion import claims, parameters
from paper_code.companion.parameters import ParameterError

ROOT = Path(__file__).parents[2]
STEMS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))

OTHER: dict[str, dict[str, list[Any]]] = {
    "00_explorer": {
        "scheme": ["top-k", "trellis"],
        "distortion": [0.3, 0.02, 0.9],
        "d": [7, 1, 1000],
        "kind": ["sparse", "one-hot"],
        "long_d": [50, 1, 3000],
        "seed": [3],
    },
    "01_one_message": {"nu": [0.3, 0.02, 0.9], "d": [5, 1, 2000], "seed": [7]},
    "02_lower_bounds": {
        "alpha": [0.3, 0.01, 0.9],
        "wide_alpha": [0.7, 0.2],
        "cap_dims": [[3, 4], [2]],
        "spherical_dims": [[2, 4], [1]],
        "codewords": [[3, 8], [2]],
        "directions": [20_000, 1000],
        "messages": [20, 2],
        "seed": [1],
    },
    "03_sparse_dithering": {
        "nu": [0.3, 0.02],
        "omega": [1.0, 0.05],
        "d": [50, 1, 3000],
        "dims": [[1, 7], [20]],
        "levels": [[0.05, 0.5], [0.2]],
        "messages": [10, 2],
        "search_rounds": [100, 0],
        "repeats": [100, 4],
        "seed": [1],
    },
    "04_spherical_compression": {
        "alpha": [0.3, 0.05],
        "dims": [[2, 5], [3], [2, 3, 4, 5, 6, 7, 8]],
        "messages": [100, 50],
        "directions": [30_000, 1000],
        "pool_dims": [[6], [2, 9]],
        "pool_messages": [300, 50],
        "seed": [1],
    },
    "05_landscape": {
        "d": [100, 2, 3000],
        "messages": [3],
        "nus": [[0.3, 0.1], [0.5]],
        "omegas": [[1.0], [8.0, 0.1]],
        "kept": [[0.2, 0.05], [0.5]],
        "qsgd_levels": [[8, 2], [1]],
        "natural_levels": [[4], [1, 20]],
        "rotated_bits": [[1, 2], [1]],
        "lattice_alphas": [[0.2, 0.05], [0.5]],
        "int8_block": [16, 5000],
        "block": [5, 12],
        "block_alpha": [0.3, 0.1],
        "widest": [5.0, 10.0],
        "seed": [1],
    },
    "06_total_communication": {
        "starts": [1, 2],
        "levels": [[0.1, 0.5], [0.3]],
        "spherical_levels": [[0.5], [0.4, 0.7]],
        "stop_error": [1e-2, 1e-5],
        "large_d": [40, 2],
        "large_kappa": [20.0, 200.0],
        "spherical_dims": [[10], [3, 40]],
        "long_log2_d": [10, 13],
        "long_kappa": [5.0, 30.0],
        "code_levels": [[0.7], [0.55, 0.8]],
        "trellis_levels": [[0.3], [0.9, 0.1]],
        "averaged": [8, 2],
        "trials": [2, 1],
        "seed": [1],
    },
    "07_ridge": {
        "starts": [3, 1],
        "spherical_starts": [1, 2],
        "alpha": [0.4, 0.2],
        "nu": [0.05, 0.5],
        "omega": [0.5, 0.1],
        "k": [6, 1, 14],
        "stop_error": [1e-2, 1e-6],
    },
    "08_logistic": {
        "starts": [3, 1],
        "alpha": [0.4, 0.15],
        "nu": [0.05, 0.5],
        "omega": [0.5, 0.1],
        "k": [2, 1, 10],
        "stop_error": [1e-2, 1e-6],
    },
    "09_past_the_paper": {
        "alpha": [0.2, 0.05],
        "omega": [0.5, 0.1],
        "alphas": [[0.1, 0.9], [0.5]],
        "code_states": [[64], [1024, 256]],
        "code_alphas": [[0.9], [0.6, 0.97]],
        "dims": [[2, 16], [3, 100, 1000]],
        "repeats": [2, 1],
        "messages": [20, 2],
        "log2_d": [12, 16],
        "seed": [1],
    },
    "10_many_workers": {
        "workers": [[1, 3], [2]],
        "shown": [3, 1],
        "nu": [0.2, 0.05],
        "omega": [0.5, 0.1],
        "stop_error": [1e-5, 1e-9],
        "rounds": [600],
        "alpha": [0.3, 0.1],
        "epochs": [1, 2],
        "processes": [2, 3],
        "seeds": [[4], [1, 2]],
        "latency": [1e-3, 0.0],
    },
    "11_in_practice": {
        "d": [1000, 100],
        "levels": [[0.1, 0.3], [0.5]],
        "messages": [2],
        "starts": [1],
        "alpha": [0.3, 0.2],
        "norm_bits": [14, 31],
        "stop_error": [1e-2, 1e-6],
        "seed": [1],
    },
    "12_slow_networks": {"start": ["scratch"], "above": [0.02, 0.05]},
    "13_since_the_paper": {
        "alphas": [[0.3], [0.05, 0.5, 0.95]],
        "dims": [[2, 16], [3, 100]],
        "messages": [2, 5],
        "largest_draws": [5, 0],
        "d": [1000, 64],
        "levels": [[0.1], [0.001, 0.9]],
        "block": [16, 1],
        "omega": [1.0, 0.05],
        "workers": [[1, 3], [2]],
        "shown": [4, 1],
        "agreements": [[0.0, 0.9], [1.0]],
        "mean_d": [500, 128],
        "seed": [1],
    },
}
"""Values to try; the first of each together in one run, so they must go together and be quick."""

NONSENSE = {
    "alpha": [0.0, 1.0, -0.1],
    "nu": [0.0, -1.0],
    "omega": [0.0, -1.0],
    "distortion": [0.0, -1.0],
    "d": [0, -3],
    "k": [0, 1000],
    "seed": [-1],
    "starts": [0],
    "spherical_starts": [0],
    "messages": [0],
    "epochs": [0],
    "block": [0],
    "dims": [[], [0], [-1, 3]],
    "levels": [[], [0.0], [1.0]],
    "workers": [[], [0]],
    "shown": [0],
    "stop_error": [0.0, 1.0, -1e-4],
    "norm_bits": [8, 32],
    "latency": [-1.0],
    "nus": [[], [0.0]],
    "omegas": [[], [0.0]],
    "kept": [[], [0.0]],
    "qsgd_levels": [[], [0]],
    "natural_levels": [[], [0], [200]],
    "rotated_bits": [[], [0, 1]],
    "block_alpha": [0.0, 1.0],
    "alphas": [[], [0.0], [1.0]],
    "repeats": [0],
    "code_states": [[], [100]],
    "code_alphas": [[], [0.5], [1.0]],
    "wide_alpha": [0.0, 1.0],
    "cap_dims": [[], [1]],
    "spherical_dims": [[], [0]],
    "codewords": [[], [1]],
    "directions": [0],
    "pool_dims": [[], [0]],
    "pool_messages": [0],
    "search_rounds": [-1],
    "spherical_levels": [[], [0.0], [1.0]],
    "large_d": [0],
    "large_kappa": [0.5],
    "long_kappa": [1.0],
    "long_log2_d": [0],
    "code_levels": [[], [0.5], [1.0]],
    "trellis_levels": [[], [0.0], [1.0]],
    "trials": [0],
    "rounds": [0],
    "processes": [0],
    "seeds": [[], [-1]],
    "long_d": [0],
    "log2_d": [0],
    "widest": [0.0],
    "kind": ["gaussian"],
    "scheme": ["sd"],
    "largest_draws": [-1],
    "agreements": [[], [-0.1], [1.1]],
    "mean_d": [0],
    "start": ["hot"],
    "above": [-0.1, 1.0],
}
"""Values that no notebook with such a parameter may take."""


def path_of(stem: str) -> Path:
    return ROOT / "notebooks" / f"{stem}.ipynb"


def begin(stem: str) -> dict[str, ast.expr]:
    """What the notebook's call of `notebook_run.begin` allows: an expression by parameter."""
    cells = nbformat.read(path_of(stem), as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (call,) = [call for call in calls if ast.unparse(call.func) == "notebook_run.begin"]
    return {str(word.arg): word.value for word in call.keywords}


@pytest.mark.parametrize("stem", STEMS)
def test_other_values_are_listed_for_every_parameter(stem: str) -> None:
    reference = claims.reference_parameters(stem)
    assert [*OTHER[stem], "quick"] == list(reference)
    for name, values in OTHER[stem].items():
        assert reference[name] not in values, f"{name} would not be changed"


@pytest.mark.parametrize("stem", STEMS)
def test_nonsense_is_refused_by_name(stem: str) -> None:
    reference, allowed = claims.reference_parameters(stem), begin(stem)
    assert allowed.keys() == reference.keys() - {"quick"}, "a parameter may be anything"
    for name, expression in allowed.items():
        if not isinstance(expression, (ast.Constant, ast.List)):
            continue  # choices that the notebook computes
        condition = ast.literal_eval(expression)
        parameters.check_allowed(name, condition, reference)
        for value in NONSENSE.get(name, []):
            with pytest.raises(ParameterError, match=f"^{name} = .* is not allowed: "):
                parameters.check_allowed(name, condition, {**reference, name: value})


FOLDERS = ("figures", "data/results", "build")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder that runs write into; the project's results and `build` must be as before."""
    before = digests()
    yield tmp_path
    assert digests() == before


def digests() -> dict[Path, str]:
    """What the project's results and figures hold, and the files right in `build`."""
    found = [path for name in FOLDERS for path in (ROOT / name).iterdir() if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


RUN = """
import json, sys
from pathlib import Path
from paper_code.companion import run_notebooks
failed = []
for jobs in json.loads(sys.argv[2]):
    given = {Path(path): changed for path, changed in jobs.items()}
    failed += run_notebooks.run_elsewhere(given, Path(sys.argv[1]))
sys.exit(bool(failed))
"""


def assert_each_runs(rounds: list[dict[str, dict[str, Any]]], folder: Path) -> None:
    """Run notebooks with changed parameters, round by round, in one process.

    A round maps notebooks to what is changed. Each run must write a result and a figure.
    """
    jobs = [
        {str(path_of(stem)): {**own, "quick": True} for stem, own in changed.items()}
        for changed in rounds
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, folder, json.dumps(jobs)]
    outcome = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, f"{outcome.stdout}\n{outcome.stderr}"
    for stem in rounds[0]:
        runs = [path for path in (folder / stem).iterdir() if path.name != "unfinished"]
        assert len(runs) == len(rounds), f"{stem}: runs of other parameters share a folder"
        for run in runs:
            written = {path.name for path in run.rglob("*")}
            assert f"{stem}.json" in written, f"{run} holds no result"
            assert any(name.endswith(".svg") for name in written), f"{run} holds no figure"


def test_every_notebook_runs_with_all_its_parameters_changed(elsewhere: Path) -> None:
    firsts = {stem: {name: values[0] for name, values in OTHER[stem].items()} for stem in STEMS}
    assert_each_runs([firsts], elsewhere)


@pytest.mark.one_parameter
@pytest.mark.parametrize("stem", STEMS)
def test_a_notebook_runs_with_one_parameter_changed(elsewhere: Path, stem: str) -> None:
    rounds = [{stem: {name: each}} for name, values in OTHER[stem].items() for each in values]
    assert_each_runs(rounds, elsewhere)
