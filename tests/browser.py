"""Headless Chromium over its own debugging protocol: pages, keys, and what pages ask for."""

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import urlopen

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless=new",
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]
SECONDS = 60


def installed() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. ``requests`` and ``complaints`` are what it asked for and wrote to its console."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=SECONDS)
        self._count = 0
        self._loaded = False
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, note the events that come before its answer, and return that."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message["method"], message["params"])

    def _note(self, event: str, said: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif event == "Network.webSocketCreated":
            self.requests.append(said["url"])
        elif event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        elif event == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Runtime.consoleAPICalled" and said["type"] == "error":
            self.complaints.append(" ".join(str(each.get("value")) for each in said["args"]))

    def open(self, url: str) -> None:
        """Go there, and wait until all of it is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", lambda: self._loaded)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, of a promise when it is kept."""
        given = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", **given)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script: str, also: Any = None, seconds: float = SECONDS) -> Any:
        """Wait until the expression is true, and return it. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (value := self.run(script)) and (also is None or also()):
                return value
            time.sleep(0.05)
        raise TimeoutError(f"not within {seconds} s: {script}")

    def click(self, element: str) -> None:
        """Click with the mouse on what the JavaScript expression names."""
        self.drag(element, 0)

    def drag(self, element: str, right: int) -> None:
        """Take it with the mouse, move it by so many pixels, and let it go."""
        box = self.run(f"(b => [b.x, b.y, b.width, b.height])({element}.getBoundingClientRect())")
        at = {"x": box[0] + box[2] / 2, "y": box[1] + box[3] / 2}
        held = {"button": "left", "buttons": 1, "clickCount": 1}
        there = {"x": at["x"] + right, "y": at["y"]}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at, **held)
        if right:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", **there, **held)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **there, **held)

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the window, and the colours that the reader prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def photograph(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of what is seen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def external(self) -> list[str]:
        """What was asked of any other host than this one."""
        near = {None, "", "localhost", "127.0.0.1"}
        return [url for url in self.requests if urlparse(url).hostname not in near]


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with a new profile in that folder, and its first tab."""
    command = [installed(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    log = profile / "log"
    profile.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream)
    try:
        page = Page(_first_tab(process, log))
        yield page
        page.close()
    finally:
        process.terminate()
        process.wait(SECONDS)


def _first_tab(process: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"ws://([\d.:]+)/devtools", log.read_text("utf-8", "replace")):
            return _address(found.group(1))
        time.sleep(0.05)
    raise RuntimeError(f"the browser did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _address(host: str) -> str:
    with urlopen(f"http://{host}/json", timeout=SECONDS) as answer:
        tabs = json.load(answer)
    return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
