"""A JupyterLab server with settings of its own, and its kernels as its own pages use them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import websocket

ROOT = Path(__file__).parent.parent
SLOW = 180  # seconds at most, on shared cores, for JupyterLab to start or for all cells to run


@contextmanager
def jupyterlab(shown: Path, folder: Path, **variables: str) -> Iterator[str]:
    """The address of a JupyterLab of the folder `shown`; its own settings and log go to `folder`.

    Its `python3` is this Python, started with the environment's `variables`.
    """
    home = folder / "home"
    kernel = home / "data" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "language": "python", "display_name": "Python 3"}))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        **variables,
    }
    port = _free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--allow-root"]
    command += ["--ServerApp.disable_check_xsrf=True"]  # there is no password to guard
    quiet = home / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps(news))
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        given: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True}
        server = subprocess.Popen(command, cwd=shown, env=environment, **given)
    try:
        _wait_for(f"{address}/lab", server, folder / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with its kernel; asked politely it waits for that
        server.wait(SLOW)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + SLOW
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def run_cells(address: str, notebook: str, sources: Sequence[str]) -> str:
    """What the cells print in the kernel that JupyterLab starts for `notebook`.

    Raises RuntimeError where a cell fails.
    """
    wanted = {"path": notebook, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
    with urlopen(Request(f"{address}/api/sessions", json.dumps(wanted).encode())) as answer:
        kernel = json.load(answer)["kernel"]["id"]
    channels = f"{address.replace('http', 'ws')}/api/kernels/{kernel}/channels"
    stream = websocket.create_connection(channels, timeout=SLOW)
    try:
        return "".join(_run(stream, source) for source in sources)
    finally:
        stream.close()


def _run(stream: websocket.WebSocket, source: str) -> str:
    asked = uuid.uuid4().hex
    header = {"msg_id": asked, "msg_type": "execute_request", "session": asked, "version": "5.3"}
    content = {"code": source, "silent": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    stream.send(json.dumps({**request, "channel": "shell"}))
    printed = ""
    while True:
        said = json.loads(stream.recv())
        if said["parent_header"].get("msg_id") != asked:
            continue
        kind, content = said["header"]["msg_type"], said["content"]
        if kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if kind == "stream":
            printed += content["text"]
        if kind == "status" and content["execution_state"] == "idle":
            return printed
