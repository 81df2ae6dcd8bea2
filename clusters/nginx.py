"""Debian's nginx in front of the tests' cluster, told anew whenever objects there have changed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from clusters.meanwhile import meanwhile
from clusters.node_settings import SERVICES
from clusters.programs import wait_until
from clusters.traces import BRIDGE

ADDRESS = "127.0.0.2"
"""Of the loopback network: the ports 80 and 443 are free there."""

_LOOK_EVERY_S = 0.2
_MAIN = """\
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_set_header Host $host;
  proxy_http_version 1.1;
  server {{ listen {address}:80 default_server; return 404; }}
{servers}
}}
"""


class Nginx:
    """One process, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told = ""
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, servers: str) -> None:
        """Have it work by these ``server`` blocks from now on; connections that are open go on."""
        text = _MAIN.format(folder=self.folder, address=ADDRESS, servers=servers)
        if text == self._told:
            return
        self._told = text
        (self.folder / "nginx.conf").write_text(text)
        if self._process is None:
            command = ["nginx", "-c", str(self.folder / "nginx.conf"), "-e", str(self.folder / "error.log")]
            self._process = subprocess.Popen(command)
        else:
            os.kill(self._process.pid, signal.SIGHUP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)


@contextmanager
def following(folder: Path, look: Callable[[Nginx], None]) -> Iterator[Nginx]:
    """One that is told by ``look`` every moment."""
    assert shutil.which("nginx"), "nginx is not installed: apt-get install nginx-light"
    folder.mkdir()
    # An answer is to come by the pods' bridge, and what no rule sends to a pod is to stay there.
    subprocess.run(["ip", "route", "replace", SERVICES, "dev", BRIDGE], check=False, capture_output=True)
    nginx = Nginx(folder)

    def follow(over: threading.Event) -> None:
        while not over.wait(_LOOK_EVERY_S):
            try:
                look(nginx)
            except httpx.HTTPError:
                continue  # the API server may be away

    try:
        with meanwhile(follow):
            assert wait_until(lambda: (folder / "nginx.pid").exists()), "nginx runs"
            yield nginx
    finally:
        nginx.stop()
