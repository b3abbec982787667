"""The `rooftune` command: its subcommands, and how errors become one line and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import signal
import sys
import threading
import traceback
import warnings
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from rooftune import __version__
from rooftune.cli.screen import one_line, warn
from rooftune.errors import RooftuneError

__all__ = ["app", "collect_commands", "main"]

_DEFECT = 70  # EX_SOFTWARE of sysexits.h: none of the documented codes, which scripts act on

app = typer.Typer(
    name="rooftune",
    help="Makes a trained model run as fast as its machine allows, and shows the proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"rooftune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback behind an error.")] = False,
) -> None:
    os.environ["ROOFTUNE_DEBUG"] = "1" if debug or os.environ.get("ROOFTUNE_DEBUG") == "1" else "0"


def collect_commands() -> None:
    """Import every command file; each registers itself on `app`."""
    from rooftune.cli import commands

    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda m: m.name):
        importlib.import_module(f"{commands.__name__}.{module.name}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script; ends the process with the documented exit code."""
    # --debug is understood anywhere on the line
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:
        given.remove("--debug")
        given.insert(0, "--debug")
    collect_commands()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ or × is no reason to fail
    warnings.showwarning = lambda message, *_, **__: warn([str(message)])
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
    try:
        code = app(args=given, prog_name="rooftune", standalone_mode=False)
    except RooftuneError as error:
        _complain(str(error))
        code = error.exit_code
    except TyperException as error:
        text = _usage_text(error)
        if not text.startswith("—"):  # a bare `rooftune` has shown its help and has nothing to complain of
            _complain(text)
        code = getattr(error, "exit_code", 2)
    except (typer.Abort, KeyboardInterrupt):
        print("rooftune: stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _complain(f"{error.strerror or error}{where} — check the path, its permissions and free space")
        code = 2
    except MemoryError:
        _complain("out of memory — free some, or use a smaller model or batch")
        code = 3
    except Exception as error:
        # whatever the user gave, a traceback is not an answer
        _complain(f"a defect of rooftune, {type(error).__name__}: {error} — run again with --debug and report it")
        code = _DEFECT
    sys.exit(code if isinstance(code, int) else 0)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Asked to terminate: unwind, so that temporary folders and engines' processes go away."""
    sys.exit(128 + signal.SIGTERM)


def _usage_text(error: TyperException) -> str:
    """What was wrong with the command line, and whose help to read."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "rooftune"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{message.strip().rstrip('.')} — see `{command} --help`".strip()


def _complain(text: str) -> None:
    if os.environ.get("ROOFTUNE_DEBUG") == "1":
        traceback.print_exc()
    print(f"rooftune: error: {one_line(text)}", file=sys.stderr)
