"""A worker's life: start in phases, serve, leave."""

import argparse
import atexit
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from json import dumps
from typing import Any, Dict, List, NoReturn, Optional

from modelport_worker.entry_script import app_root, load_entry_script
from modelport_worker.failures import describe_failure, log_failure
from modelport_worker.frames import FAILED, PHASE, READY
from modelport_worker.importing import offer_azureml
from modelport_worker.link import Link, LinkClosed, Terminated
from modelport_worker.log_config import load_logging_config, log_prints, say_init_done
from modelport_worker.scoring import serve
from modelport_worker.service import Service, call_init, describe, make_service, note_requests, warm_up
from modelport_worker.streams import log, set_up_streams
from modelport_worker.template import Template, TemplateLink, settle_memory

EXIT_FAILED = 3


class Start:
    """The phases before READY. ``phase`` is the one that has been entered; ``ready`` is what READY says."""

    def __init__(self, link: Link, options: argparse.Namespace) -> None:
        self._link = link
        self._options = options
        self.phase = ""
        self.ready: Dict[str, Any] = {}

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._link.tell(PHASE, phase.encode("ascii"))

    def run(self) -> Service:
        """What is done once, before a template is forked. Raises whatever the script raises."""
        self._enter("import")
        options = self._options
        load_logging_config(app_root(), os.environ.get("AZUREML_ENTRY_SCRIPT"))
        if options.log_prints:
            log_prints()
        service = make_service(load_entry_script(), together=options.together, wait_s=options.wait_ms / 1000)
        self._enter("init")
        init_ms = call_init(service)
        if options.log_prints:
            say_init_done()
        service = note_requests(service)
        self._enter("schema")
        python = "{}.{}.{}".format(*sys.version_info[:3])
        self.ready = dict(describe(service), init_ms=init_ms, python=python)
        return service

    def finish(self, service: Service) -> None:
        """What each worker does, also a forked one: what ``run`` sets up at its first call, threads for one, would not
        survive a fork. Raises whatever the script raises."""
        if self._options.warm_up:
            self._enter("warm-up")
            warm_up(service)
        self.say_ready()

    def say_ready(self) -> None:
        self._link.tell(READY, to_json(dict(self.ready, pid=os.getpid())))

    def of_fork(self, link: Link) -> "Start":
        """The rest of the start, in a fork."""
        start = Start(link, self._options)
        start.ready = self.ready
        return start


def to_json(value: Dict[str, Any]) -> bytes:
    """As JSON in UTF-8. A schema's sample may hold a lone surrogate, which that does not have: ``?`` stands for it."""
    return dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def fail(link: Link, phase: str, error: BaseException) -> NoReturn:
    """Tell the server and the log why the start failed, and leave."""
    failure = describe_failure(phase, error)
    log_failure(failure)
    link.tell(FAILED, to_json(failure))
    logging.shutdown()
    os._exit(EXIT_FAILED)  # threads that the script has started must not keep a failed worker


def parse_arguments(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="modelport_worker", description="Started by Modelport's scoring server.")
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the worker's end of the socketpair")
    parser.add_argument("--page", type=int, required=True, help="descriptor of the page shared with the server")
    parser.add_argument("--azureml", required=True, help="folder of the azureml package to offer the script")
    parser.add_argument("--together", type=int, default=1, help="so many requests are scored by one call of run()")
    parser.add_argument("--wait-ms", type=float, default=0.0, help="an idle worker waits so long for more of them")
    parser.add_argument("--warm-up", action="store_true", help="call run() with the schema's sample first")
    parser.add_argument("--log-prints", action="store_true", help="what is printed becomes lines of the log")
    parser.add_argument("--template", action="store_true", help="do not answer requests, but be forked for workers")
    return parser.parse_args(argv)


def main(argv: List[str]) -> None:
    """Run a worker until the server lets it go. The process's exit status: 0, 3 after FAILED, or the script's own."""
    arguments = parse_arguments(argv)
    link = (TemplateLink if arguments.template else Link)(socket_fd=arguments.socket, page_fd=arguments.page)
    set_up_streams()
    # A handler, not SIG_IGN, which what the script starts would inherit. The server decides when a worker ends.
    signal.signal(signal.SIGINT, lambda *_: None)
    offer_azureml(arguments.azureml)
    try:
        live(link, arguments)
    except OSError as error:
        note_if_cut_off(link, error)
        raise


def live(link: Link, arguments: argparse.Namespace) -> None:
    """Start, and serve or be forked until the server lets go of it."""
    start = Start(link, arguments)
    try:
        service = start.run()
        if not arguments.template:
            start.finish(service)
    except BaseException as error:
        if link.closed:
            raise  # a fork of the start: its end is its own affair
        fail(link, start.phase, error)
    if isinstance(link, TemplateLink):
        serve_forks(link, start, service)
    else:
        serve_until_released(link, service)


def note_if_cut_off(link: Link, error: BaseException) -> None:
    """What the script raises is told by the link; what is raised by the link itself is a descriptor that it closed."""
    if isinstance(error, OSError) and error.errno == errno.EBADF:
        link.note_cut_off()


def serve_until_released(link: Link, service: Service) -> None:
    link.terminate_when_idle()
    try:
        serve(link, service)
    except (LinkClosed, Terminated, ConnectionError):
        pass
    except OSError as error:
        note_if_cut_off(link, error)
        raise
    finally:
        link.close()  # the server sees the end at once, also while threads of the script live on


def serve_forks(link: TemplateLink, start: Start, service: Service) -> None:
    """Be forked for workers. Returns in the template only, once the server has let it go."""
    settle_memory()
    start.say_ready()
    descriptors = Template(link).serve()
    if descriptors is None:
        link.close()
    else:
        live_as_fork(descriptors, start, service)


def live_as_fork(descriptors: List[int], start: Start, service: Service) -> NoReturn:
    """A worker's life after a fork. It leaves without Python's own end, which would give up what ``init()`` has made,
    temporary folders for one, as often as there are workers."""
    status: object = 1
    link: Optional[Link] = None
    try:
        link = Link(socket_fd=descriptors[0], page_fd=descriptors[1])
        start = start.of_fork(link)
        try:
            start.finish(service)
        except BaseException as error:
            if link.closed:
                raise
            fail(link, start.phase, error)
        serve_until_released(link, service)
        status = 0
    except SystemExit as leaving:
        status = 0 if leaving.code is None else leaving.code
    except BaseException as error:
        if link is not None:
            note_if_cut_off(link, error)
        traceback.print_exc()
    try:
        if not isinstance(status, int):
            log(str(status))  # as Python's end does
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the script's threads, as Python's end does
        atexit._run_exitfuncs()
    finally:
        os._exit(status & 0xFF if isinstance(status, int) else 1)
