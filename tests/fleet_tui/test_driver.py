"""`fleet_tui/driver.py`: the lent driver, and every private name of Textual it rests on."""

import asyncio
import inspect
import os
import pty
import re
import signal
import threading
from collections.abc import Iterator

import pytest
from textual import _xterm_parser, constants, events
from textual.app import App
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message_pump import MessagePump

from fleet_tui.driver import DRIVER_SIGNALS, run_app
from fleet_tui.lending import LEAVE, End
from fleet_tui.terminal import Terminal

ESCAPES = re.compile(r"\x1b\[[?<]?\d*[a-z]")


class Quiet(App[str]):
    """An app that does what a test tells it once it is ready."""

    def __init__(self, act=lambda app: app.exit("done")) -> None:
        super().__init__()
        self.act = act
        self.keys: list[str] = []
        self.sizes: list[tuple[int, int]] = []

    def on_ready(self) -> None:
        self.act(self)

    def on_key(self, event: events.Key) -> None:
        self.keys.append(event.key)
        if event.key == "q":
            self.exit("quit")

    def on_resize(self, event: events.Resize) -> None:
        self.sizes.append(tuple(event.size))
        if event.size == (40, 10):
            self.exit("small")


@pytest.fixture
def master_and_terminal() -> Iterator[tuple[int, Terminal]]:
    """A terminal whose master is read all the time."""
    master, slave = pty.openpty()
    found = Terminal(slave, (80, 24), {"TERM": "xterm"}, {})
    drain = threading.Thread(target=_drain, args=(master,))
    drain.start()
    yield master, found
    found.close()
    os.close(slave)
    drain.join(30)


def _drain(master: int) -> None:
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass
    os.close(master)


# --- contracts: what this driver relies on, so that a new Textual fails here and not in a person's terminal -----------


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("__init__", ("_file", "fileno", "input_tty", "exit_event", "attrs_before", "_key_thread", "_writer_thread")),
        ("start_application_mode", ("WriterThread(self._file)", "self._run_input_thread", "_get_terminal_size()")),
        ("_run_input_thread", ("self.run_input_thread()",)),
        ("disable_input", ("self.exit_event.set()", "self._key_thread.join()")),
        ("run_input_thread", ("XTermParser(self._debug)", "parser.feed", "parser.tick", "self.process_message(event)")),
        ("process_message", ("_in_band_window_resize", "super().process_message(message)")),
        ("close", ("self._writer_thread.stop()",)),
        ("write", ("self._writer_thread.write(data)",)),
    ],
)
def test_the_stock_driver_is_made_as_we_think(method: str, names: tuple[str, ...]) -> None:
    """Each private name we set, replace or wait for is where it was."""
    source = inspect.getsource(getattr(LinuxDriver, method))
    assert [name for name in names if name not in source] == []


def test_the_stock_driver_takes_no_other_signals() -> None:
    """The handlers put back are all that a driver installs."""
    source = inspect.getsource(linux_driver)
    assert set(re.findall(r"signal\.signal\(signal\.(\w+)", source)) == {number.name for number in DRIVER_SIGNALS}


def test_leaving_undoes_all_that_the_stock_driver_undoes() -> None:
    """Every sequence the stock driver sends at its end is in `LEAVE`."""
    stock = [LinuxDriver.stop_application_mode, LinuxDriver._disable_mouse_support, LinuxDriver._enable_line_wrap]
    stock += [LinuxDriver._disable_bracketed_paste, LinuxDriver._disable_in_band_window_resize]
    sent = {found for method in stock for found in ESCAPES.findall(inspect.getsource(method).replace(r"\x1b", "\x1b"))}
    assert len(sent) >= 10
    assert sent - set(ESCAPES.findall(LEAVE)) == set()


def test_the_apps_names_are_as_we_think() -> None:
    """`_exception` says what an app died of, `_loop` where it runs, `driver_class` what it draws with."""
    app = Quiet()
    assert (app._exception, app._loop) == (None, None)
    assert "driver_class = self.driver_class" in inspect.getsource(App._build_driver)
    assert "self.error_console.print" in inspect.getsource(App._print_error_renderables)
    assert "constants.ESCAPE_DELAY" in inspect.getsource(_xterm_parser)
    assert constants.ESCAPE_DELAY > 0
    # Keys are done one by one by them (`FleetApp.on_event`); an app that waited for a screen that died would hang.
    assert "self.screen._binding_chain" in inspect.getsource(App._check_bindings)
    assert "finally:" in inspect.getsource(MessagePump._pre_process).partition("self._mounted_event.set()")[0]


# --- what it does -----------------------------------------------------------------------------------------------------


def test_an_app_returns_what_it_exits_with(master_and_terminal: tuple[int, Terminal]) -> None:
    """The app's own end is not the terminal's: its result comes back, and the terminal has been given back."""
    _, terminal = master_and_terminal
    assert run_app(Quiet(), terminal) == ("done", None)
    assert (terminal.ended, terminal.restored) == (None, True)


def test_nothing_is_left_behind(master_and_terminal: tuple[int, Terminal]) -> None:
    """After an app: the same signal handlers, descriptors 0 to 2 and threads, and no loop."""
    _, terminal = master_and_terminal

    def traces() -> list[object]:
        standard = [os.fstat(fd).st_ino for fd in (0, 1, 2)]
        return [[signal.getsignal(number) for number in DRIVER_SIGNALS], standard, threading.active_count()]

    before = traces()
    during: list[list[object]] = []
    run_app(Quiet(lambda app: (during.append(traces()), app.exit())), terminal)
    assert traces() == before
    assert during[0][:2] == before[:2]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_keys_reach_the_app_and_escape_is_a_key(master_and_terminal: tuple[int, Terminal]) -> None:
    """Keys arrive in order; a lone escape is told by the quiet after it."""
    master, terminal = master_and_terminal

    class Escaping(Quiet):
        def on_key(self, event: events.Key) -> None:  # Textual calls the one of `Quiet` too
            if event.key == "escape":
                os.write(master, b"q")

    app = Escaping(lambda app: os.write(master, b"a\xc3\xa4\x1b"))
    assert run_app(app, terminal) == ("quit", None)
    assert app.keys == ["a", "ä", "escape", "q"]


def test_bytes_that_are_no_text_do_no_harm(master_and_terminal: tuple[int, Terminal]) -> None:
    """A broken UTF-8 sequence kills a stock app; here it is a replacement character."""
    master, terminal = master_and_terminal
    app = Quiet(lambda app: os.write(master, b"\xff\xfeq"))
    assert run_app(app, terminal) == ("quit", None)
    assert app.keys[-1] == "q"


def test_ctrl_z_detaches_even_a_busy_app(master_and_terminal: tuple[int, Terminal]) -> None:
    """The key is heard while the app's loop is blocked, and never suspends the process."""
    master, terminal = master_and_terminal
    ended = threading.Event()

    def block(app: Quiet) -> None:
        terminal.lender = lambda reason: ended.set()
        os.write(master, b"\x1a")
        assert ended.wait(30)

    app = Quiet(block)
    assert run_app(app, terminal) == (None, None)
    assert terminal.ended is End.DETACHED
    assert app.keys == []


def test_suspending_is_refused(master_and_terminal: tuple[int, Terminal]) -> None:
    """`suspend_process` does nothing, because the process is the node."""
    _, terminal = master_and_terminal
    stopped: list[int] = []
    before = signal.signal(signal.SIGTSTP, lambda *_: stopped.append(1))

    def suspend(app: Quiet) -> None:
        app.action_suspend_process()
        app.exit("still here")

    assert run_app(Quiet(suspend), terminal) == ("still here", None)
    signal.signal(signal.SIGTSTP, before)
    assert stopped == []


def test_another_size_reaches_the_app(master_and_terminal: tuple[int, Terminal]) -> None:
    """The first size is the stub's word, and so is each later one."""
    _, terminal = master_and_terminal
    app = Quiet(lambda app: terminal.resize((40, 10)))
    assert run_app(app, terminal) == ("small", None)
    assert app.sizes[0] == (80, 24)


@pytest.mark.parametrize("reason", [End.TAKEN_OVER, End.LOST, End.STOPPED])
def test_the_end_of_the_terminal_ends_the_app(master_and_terminal: tuple[int, Terminal], reason: End) -> None:
    """Whoever ends the terminal, from whichever thread, ends the app; its reason stays."""
    _, terminal = master_and_terminal
    run_app(Quiet(lambda app: threading.Thread(target=terminal.end, args=(reason,)).start()), terminal)
    assert terminal.ended is reason


def test_a_terminal_that_has_ended_gets_no_app(master_and_terminal: tuple[int, Terminal]) -> None:
    """An app whose terminal ended before it started leaves at once."""
    _, terminal = master_and_terminal
    terminal.end(End.TAKEN_OVER)
    run_app(Quiet(lambda app: None), terminal)


def test_a_crash_comes_back_and_is_not_printed(
    master_and_terminal: tuple[int, Terminal], capfd: pytest.CaptureFixture[str]
) -> None:
    """What an app dies of is returned; its local variables, bodies among them, reach no stream."""
    _, terminal = master_and_terminal

    def crash(app: Quiet) -> None:
        body = "a body nobody may read"
        raise RuntimeError(f"broken after {len(body)}")

    result, error = run_app(Quiet(crash), terminal)
    assert result is None
    assert repr(error) == "RuntimeError('broken after 22')"
    assert capfd.readouterr() == ("", "")


def test_a_crash_of_the_input_thread_comes_back_too(
    master_and_terminal: tuple[int, Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while reading keys ends the app like any other crash."""
    master, terminal = master_and_terminal
    monkeypatch.setattr(LinuxDriver, "process_message", lambda *_: 1 // 0)
    result, error = run_app(Quiet(lambda app: os.write(master, b"x")), terminal)
    assert (result, type(error), terminal.ended) == (None, ZeroDivisionError, End.CRASHED)


def test_one_process_runs_many_apps() -> None:
    """Attach, detach, attach: nothing grows but memory."""
    for number in range(3):
        master, slave = pty.openpty()
        terminal = Terminal(slave, (80, 24), {"TERM": "xterm"}, {})
        drain = threading.Thread(target=_drain, args=(master,))
        drain.start()
        assert run_app(Quiet(lambda app, number=number: app.exit(str(number))), terminal) == (str(number), None)
        terminal.close()
        os.close(slave)
        drain.join(30)
