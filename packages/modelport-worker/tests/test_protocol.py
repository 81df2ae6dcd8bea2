"""The frames of a worker's life, on every Python."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from driving import PROGRAM, App, score_frame
from interpreters import THIS_PYTHON
from modelport_worker.frames import (
    PAGE_SIZE,
    RAISED,
    RESULT,
    RETURNED,
    RUN_FAILED,
    SCORE,
    SHARED,
    SLOT,
    STARTED,
    STOP,
    UNSERIALIZABLE,
    pack,
)
from modelport_worker.link import CAREFUL

ECHO = """
    def init():
        pass

    def run(data):
        return data
"""


def test_starts_in_phases_answers_and_stops(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        ready = worker.start()
        assert worker.phases == ["import", "init", "schema"]
        assert ready["pid"] == worker.process.pid
        assert ready["init_ms"] >= 0
        assert {key: ready[key] for key in ("input", "parameters", "wants_request", "schemas", "notes")} == {
            "input": "text",
            "parameters": [{"name": "data", "required": True}],
            "wants_request": False,
            "schemas": {},
            "notes": [],
        }
        answer = worker.ask('{"data": [1]}')
        assert (answer.code, answer.flags, answer.meta) == (200, RETURNED, b"")
        assert answer.json == '{"data": [1]}'
        assert worker.stop() == 0


def test_ready_names_the_interpreter(app: App, python: str) -> None:
    code = """
        import sys

        def init():
            pass

        def run(data):
            return sys.version_info[:3]
    """
    with app.run(python, code) as worker:
        assert worker.start()["python"] == ".".join(map(str, worker.ask().json))


def test_answers_come_in_the_order_of_the_requests(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        ids = [worker.send(str(number).encode()) for number in range(200)]
        answers = [worker.receive() for _ in ids]
        assert [(answer.id, answer.json) for answer in answers if answer] == [
            (request_id, str(number)) for number, request_id in enumerate(ids)
        ]


def test_frames_may_arrive_in_pieces(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        stream = b"".join(score_frame(number, b"body %d" % number) for number in range(1, 4))
        for position in range(len(stream)):
            worker.connection.sendall(stream[position : position + 1])
        assert [answer.json for _ in range(3) if (answer := worker.receive())] == ["body 1", "body 2", "body 3"]


@pytest.mark.parametrize("size", [256 * 1024 - 25, 256 * 1024 - 24, 256 * 1024 - 23, 3_000_000])
def test_large_bodies_between_small_ones(app: App, python: str, size: int) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        assert worker.ask("before").json == "before"
        assert worker.ask("x" * size).json == "x" * size
        assert worker.ask("after").json == "after"


def test_large_bodies_back_to_back(app: App, python: str) -> None:
    code = """
        def init():
            pass

        def run(data):
            return len(data)
    """
    sizes = [300_000, 1, 262_144, 700_000, 0, 262_120]
    with app.run(python, code) as worker:
        worker.start()
        for size in sizes:
            worker.send(b"x" * size)
        assert [answer.json for _ in sizes if (answer := worker.receive())] == sizes


def test_a_body_in_shared_memory_behind_a_head_that_fills_the_buffer(app: App, python: str) -> None:
    code = """
        def init():
            pass

        def run(data, request_headers):
            return [data, len(request_headers["X-Long"])]
    """
    with app.run(python, code) as worker:
        worker.start()
        worker.page[PAGE_SIZE : PAGE_SIZE + 4] = b"body"
        meta = json.dumps({"headers": [["X-Long", "x" * 300_000]]}).encode()
        worker.connection.sendall(pack(1, SCORE, SLOT.pack(PAGE_SIZE, 4, PAGE_SIZE, 64), meta, SHARED))
        answer = worker.receive()
        assert answer is not None
        assert answer.json == ["body", 300_000]


def test_one_body_is_let_go_of_before_the_next_is_taken(app: App, python: str) -> None:
    code = """
        import tracemalloc
        from azureml.contrib.services.aml_request import rawhttp

        def init():
            tracemalloc.start()

        @rawhttp
        def run(request):
            return tracemalloc.get_traced_memory()[1]  # the most that there was at once
    """
    size, meta = 4_000_000, json.dumps({"headers": []}).encode() + b"\n"
    with app.run(python, code) as worker:
        worker.start()
        place = SLOT.pack(PAGE_SIZE, size, PAGE_SIZE, size)
        worker.connection.sendall(b"".join(pack(number, SCORE, place, meta, SHARED) for number in (1, 2, 3)))
        held = [answer.json for _ in range(3) if (answer := worker.receive())]
        assert len(held) == 3
        assert size < max(held) < 1.5 * size


LONG_OR_GATED = """
import os, time
def init(): pass
def run(data):
    if data == "long": time.sleep(0.02)
    while data == "gate" and not os.path.exists("open"): time.sleep(0.005)
    return data
"""


def test_an_answer_does_not_wait_for_the_next_request(app: App, python: str) -> None:
    with app.run(python, LONG_OR_GATED) as worker:
        worker.start()
        worker.ask("long")
        worker.send_at_once(b"quick", b"gate")
        answer = worker.receive()
        assert answer is not None
        assert answer.json == "quick"
        (app.root / "open").touch()
        answer = worker.receive()
        assert answer is not None
        assert answer.json == "gate"


def test_an_answer_does_not_wait_for_the_next_request_once_one_has_taken_long(app: App) -> None:
    """After so many quick ones they go out together."""
    with app.run(THIS_PYTHON, LONG_OR_GATED) as worker:
        worker.start()
        worker.send_at_once(*[b"quick"] * (CAREFUL + 10))
        for _ in range(CAREFUL + 10):
            worker.receive()
        worker.ask("long")
        worker.send_at_once(b"quick", b"gate")
        for word in ("quick", "gate"):
            answer = worker.receive()
            assert answer is not None
            assert answer.json == word
            (app.root / "open").touch()


def test_page_names_the_request_that_crashed(app: App, python: str) -> None:
    code = """
        import os

        def init():
            pass

        def run(data):
            if data == "die":
                os._exit(7)
            return data
    """
    with app.run(python, code) as worker:
        worker.start()
        worker.ask("one")
        fatal = worker.send_at_once(b"die", b"never started")
        assert worker.receive() is None
        assert worker.process.wait(20) == 7
        assert worker.started == fatal


def test_exception_is_answered_and_logged(app: App, python: str) -> None:
    code = """
        def init():
            pass

        def run(data):
            raise ValueError("no such flower: " + data)
    """
    with app.run(python, code) as worker:
        worker.start()
        answer = worker.ask("tulip")
        assert answer.flags == RAISED | RUN_FAILED
        assert answer.text == "no such flower: tulip"
        log = worker.wait_for_output("ValueError: no such flower: tulip")
        assert f"request {answer.id}" in log
        assert 'score.py", line 6, in run' in log
        assert "modelport_worker" not in log
        assert worker.ask("rose").text == "no such flower: rose"


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "GeneratorExit", "RecursionError", "MemoryError"])
def test_other_exceptions_are_answered_too(app: App, python: str, name: str) -> None:
    code = f"""
        def init():
            pass

        def run(data):
            raise {name}("enough")
    """
    with app.run(python, code) as worker:
        worker.start()
        assert worker.ask().text == "enough"
        assert worker.ask().text == "enough"


def test_exception_without_text(app: App, python: str) -> None:
    code = """
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError

        def init():
            pass

        def run(data):
            raise Mute
    """
    with app.run(python, code) as worker:
        worker.start()
        assert worker.ask().text.startswith("Mute")


UNTELLABLE = """
    import traceback

    class Leaves(Exception):
        def __str__(self):
            raise SystemExit(4)

    class Untraceable(Exception):
        __traceback__ = property(lambda self: 1 / 0)

    class Interrupts(dict):
        def items(self):
            raise KeyboardInterrupt

    class Nameless:
        @property
        def __class__(self):
            raise KeyboardInterrupt

    def init():
        pass

    def run(data):
        if data == "raise Leaves":
            raise Leaves
        if data == "raise Untraceable":
            raise Untraceable("told")
        if data == "raise unformatted":
            traceback.format_exception = None
            raise ValueError("told")
        return {"Interrupts": Interrupts(a=1), "Nameless": Nameless()}[data]
"""


def test_what_cannot_even_be_told_is_an_error_of_its_request(app: App, python: str) -> None:
    with app.run(python, UNTELLABLE) as worker:
        worker.start()
        assert "Leaves" in worker.ask("raise Leaves").text
        assert worker.ask("raise Untraceable").text == "told"
        assert worker.ask("Interrupts").flags == RETURNED | UNSERIALIZABLE
        assert worker.ask("Nameless").flags == RETURNED | UNSERIALIZABLE
        assert worker.ask("raise unformatted").text == "told"
        worker.wait_for_output("ValueError: told (its traceback cannot be had: TypeError)")


def test_unserializable_value(app: App, python: str) -> None:
    code = """
        def init():
            pass

        def run(data):
            return object()
    """
    with app.run(python, code) as worker:
        worker.start()
        answer = worker.ask()
        assert answer.flags == RETURNED | UNSERIALIZABLE
        assert "Object of type" in answer.text or "is not JSON serializable" in answer.text
        worker.wait_for_output("not JSON serializable")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("datetime.date(2020, 1, 2)", "$ is of type datetime.date. Return its isoformat() instead."),
        ("{'a': [1, {'b c': {1, 2}}]}", '$.a[1]["b c"] is of type set. Return a list of it instead.'),
        ("[b'x']", "$[0] is of type bytes. Return its hex(), or text instead."),
        ("{'a': {(1, 2): 3}}", "$.a has a key of type tuple, (1, 2). Return texts as keys."),
        ("[[1], loop]", "$[1][0] holds itself. Return something that ends."),
        (
            "functools.reduce(lambda inner, _: [inner], range(50000), 1)",
            f"${'[0]' * 13}…"[:41] + " goes on deeper than JSON is read. Return something flatter.",
        ),
        ("[twice, twice, {1: object()}]", "$[2][1] is of type object. Return lists, dicts, texts and numbers instead."),
    ],
)
def test_the_part_that_json_cannot_hold_is_named_first(app: App, value: str, said: str) -> None:
    code = f"""
        import datetime, functools

        def init():
            pass

        def run(data):
            twice = [1]
            loop = []
            loop.append(loop)
            return {value}
    """
    with app.run(THIS_PYTHON, code) as worker:
        worker.start()
        answer = worker.ask()
        assert answer.flags == RETURNED | UNSERIALIZABLE
        sentence, _, rest = answer.text.partition("\n")
        assert sentence == f"What run() returned cannot be sent as JSON: {said}"
        assert rest.startswith("Traceback (most recent call last)")
        worker.wait_for_output(sentence)


def test_sys_exit_in_run_ends_the_process_after_earlier_answers(app: App, python: str) -> None:
    code = """
        import sys

        def init():
            pass

        def run(data):
            if data == "leave":
                sys.exit(5)
            return data
    """
    with app.run(python, code) as worker:
        worker.start()
        worker.connection.sendall(score_frame(1, b"one") + score_frame(2, b"leave") + score_frame(3, b"three"))
        first = worker.receive()
        assert first is not None
        assert first.json == "one"
        assert worker.receive() is None
        assert worker.process.wait(20) == 5
        assert worker.started == 2
        assert "sys.exit" in worker.output


def test_leaves_when_the_server_is_gone(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        worker.connection.close()
        assert worker.process.wait(20) == 0
        assert worker.output == ""


def test_sigterm_while_idle(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        worker.ask("one")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(20) == 0
        assert worker.output == ""


def test_sigterm_while_busy_answers_first(app: App, python: str) -> None:
    code = """
        import os, time

        def init():
            pass

        def run(data):
            open("busy", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.005)
            return data
    """
    with app.run(python, code) as worker:
        worker.start()
        worker.connection.sendall(score_frame(1, b"one") + score_frame(2, b"never started"))
        wait_for_file(app.root / "busy")
        worker.process.send_signal(signal.SIGTERM)
        (app.root / "go").touch()
        answer = worker.receive()
        assert answer is not None
        assert answer.json == "one"
        assert worker.receive() is None
        assert worker.process.wait(20) == 0
        assert worker.started == 1


def wait_for_file(path: Path) -> None:
    give_up = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < give_up, f"{path} never came"
        time.sleep(0.005)


def test_sigint_is_ignored(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        worker.process.send_signal(signal.SIGINT)
        assert worker.ask("still here").json == "still here"


def test_stop_answers_what_was_received_before(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        ids = [worker.send(b"x") for _ in range(20)]
        assert worker.stop() == 0
        assert [answer.id for _ in ids if (answer := worker.receive())] == ids
        assert worker.receive() is None


def test_an_answer_that_was_kept_back_goes_out_before_the_end(app: App) -> None:
    with app.run(THIS_PYTHON, ECHO) as worker:
        worker.start()
        worker.send_at_once(*[b"quick"] * (CAREFUL + 10))
        for _ in range(CAREFUL + 10):
            worker.receive()
        worker.connection.sendall(score_frame(worker._next_id, b"last") + pack(0, STOP))
        answer = worker.receive()
        assert answer is not None
        assert answer.json == "last"
        assert worker.receive() is None


def test_prints_appear_at_once_and_never_in_the_socket(app: App, python: str) -> None:
    code = """
        import logging, os, sys

        def init():
            print("from init", end="")

        def run(data):
            print("grüße", end="")
            sys.stderr.write("to stderr")
            logging.getLogger("mine").info("logged")
            os.write(1, b"to descriptor 1")
            return data
    """
    with app.run(python, code, LC_ALL="C") as worker:
        worker.start()
        assert worker.output == "from init"
        assert worker.ask("x").json == "x"
        for text in ("grüße", "to stderr", " - logged\n", "to descriptor 1"):
            assert text in worker.output


def test_children_do_not_inherit_the_link(app: App, python: str) -> None:
    code = """
        import os

        def init():
            os.system("ls -l /proc/self/fd > spawned")
            if os.fork() == 0:
                os.system("ls -l /proc/%d/fd > forked.part" % os.getpid())
                os.rename("forked.part", "forked")
                os._exit(0)
            os.wait()

        def run(data):
            return data
    """
    with app.run(python, code) as worker:
        worker.start()
        assert "socket:" not in (app.root / "spawned").read_text()
        assert "socket:" not in (app.root / "forked").read_text()


def test_child_forked_in_run_answers_nothing(app: App, python: str) -> None:
    code = """
        import os

        def init():
            pass

        def run(data):
            child = os.fork()
            return os.waitpid(child, 0)[1] if child else data
    """
    with app.run(python, code) as worker:
        worker.start()
        worker.connection.sendall(score_frame(1, b"one") + score_frame(2, b"two"))
        answers = [worker.receive() for _ in range(2)]
        assert [(answer.id, answer.json) for answer in answers if answer] == [(1, 0), (2, 0)]
        assert worker.output == ""
        assert worker.stop() == 0
        assert worker.receive() is None


def test_forked_child_can_be_terminated(app: App, python: str) -> None:
    code = """
        import os, signal, time

        def init():
            pass

        def run(data):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            os.kill(child, signal.SIGTERM)
            return os.waitpid(child, 0)[1]
    """
    with app.run(python, code) as worker:
        worker.start()
        assert worker.ask().json == signal.SIGTERM


def test_server_gone_while_answering(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        worker.send(b"x" * 5_000_000)
        worker.connection.close()
        assert worker.process.wait(20) == 0
        assert "Traceback" not in worker.output


def test_bare_worker_needs_only_descriptors(python: str, tmp_path: Path) -> None:
    """A wrong command line is the caller's mistake, and is said."""
    done = subprocess.run([python, str(PROGRAM)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "--socket" in done.stderr


def test_results_are_numbered_like_their_requests(app: App, python: str) -> None:
    with app.run(python, ECHO) as worker:
        worker.start()
        worker.connection.sendall(score_frame(2**63, b"far"))
        answer = worker.receive()
        assert answer is not None
        assert (answer.id, answer.kind) == (2**63, RESULT)
        assert STARTED.unpack_from(worker.page)[0] == 2**63


def test_micros_is_the_time_in_run(app: App, python: str) -> None:
    code = """
        import time

        def init():
            pass

        def run(data):
            time.sleep(0.02)
    """
    with app.run(python, code) as worker:
        worker.start()
        assert 20_000 <= worker.ask().micros < 2_000_000


def test_a_run_that_takes_less_than_one_was_called_all_the_same(app: App, python: str) -> None:
    """Who counts calls, and tells how long they took, goes by that: it left most of the quickest out."""
    with app.run(python, ECHO) as worker:
        worker.start()
        for _ in range(10):
            worker.send_at_once(*50 * [b"1"])
            answers = [worker.receive() for _ in range(50)]
            assert all(answer is not None and answer.micros > 0 for answer in answers)
