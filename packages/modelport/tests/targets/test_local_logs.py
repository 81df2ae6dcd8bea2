"""What the supervisor said, between the lines of a revision's log."""

from __future__ import annotations

from modelport.targets.local.logs import with_supervisor

LOG = """\
2026-11-28 02:40:00,100 [7] modelport: revision 1 starts from /bundle
printed by init()
2026-11-28 02:50:00,000 [9] modelport: revision 1 starts from /bundle
printed by run()
"""
DIED = "2026-11-28 02:49:59,900 [5] the scoring server ended (killed by signal 9 (SIGKILL)); it is started again\n"


def test_it_stands_where_it_happened() -> None:
    lines = with_supervisor(LOG, DIED).splitlines()
    assert [line[-7:] for line in lines] == ["/bundle", " init()", "d again", "/bundle", "y run()"]


def test_what_is_later_than_all_comes_last() -> None:
    late = DIED.replace("02:49", "02:51")
    assert with_supervisor(LOG, late) == LOG + late


def test_what_is_older_than_the_log_is_left_out() -> None:
    assert with_supervisor(LOG, DIED.replace("02:49", "02:39")) == LOG


def test_a_traceback_stays_with_the_message_after_it() -> None:
    traceback = "Traceback (most recent call last):\n  File\nMemoryError\n"
    assert traceback + DIED in with_supervisor(LOG, DIED.replace("02:49", "02:39") + traceback + DIED)
    assert with_supervisor(LOG, traceback) == LOG + traceback


def test_both_forms_of_a_stamp_are_compared() -> None:
    died = '{"timestamp":"2026-11-28T02:49:59.900Z","pid":5,"message":"the scoring server ended"}\n'
    assert with_supervisor(LOG, died).splitlines()[2] == died.rstrip()
    assert with_supervisor(died, DIED.replace("59,900", "59,901")).startswith(died)


def test_lines_that_do_not_say_when_are_left_alone() -> None:
    printed = "printed\n2026-11-28 02:49:59,900 I [7] root - by logging\n"
    assert with_supervisor(printed, DIED) == printed
    assert with_supervisor("", DIED) == DIED
    assert with_supervisor(LOG, "") == LOG
