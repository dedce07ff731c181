"""The group of commands, and what becomes of the exceptions they raise."""

from __future__ import annotations

import contextlib
import importlib
import os
import traceback

import click

from leakhunt import __version__
from leakhunt.cli import COMMANDS
from leakhunt.cli.output import flush_stdout, say
from leakhunt.errors import LeakhuntError

EXIT_COULD_NOT = 3
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141


class _Commands(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"There is no command {args[0]!r}.{_near(args[0])}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with:  leakhunt run -- python app.py\n\n"
    "What census, deep snapshot, holder and other words mean: docs/glossary.md",
)
@click.version_option(__version__, message="leakhunt %(version)s")
def leakhunt() -> None:
    """Names the line of a Python program that keeps the memory alive."""


def invoke(arguments: list[str]) -> int:
    """Run one command line; returns the exit status. No exception leaves it, whatever happens inside."""
    try:
        result = leakhunt.main(arguments or ["--help"], prog_name="leakhunt", standalone_mode=False)
        flush_stdout()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        say(_with_help(error))
        return error.exit_code
    except LeakhuntError as error:
        say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):  # inside a command, click makes the one the other
        return EXIT_PIPE_CLOSED
    except Exception as error:
        say(unexpected(error))
        with contextlib.suppress(OSError, LeakhuntError):  # what can't be printed is given up: see flush_stdout
            flush_stdout()
        return EXIT_COULD_NOT


def unexpected(error: BaseException) -> str:
    """A sentence for an exception that nobody foresaw; the traceback is for LEAKHUNT_DEBUG=1."""
    if os.environ.get("LEAKHUNT_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'The system'} says: {error.strerror}."
    words = f"{type(error).__name__}: {error}".strip(": ")
    return f"This is a bug in leakhunt ({words}). LEAKHUNT_DEBUG=1 shows where; please report it."


def _with_help(error: click.ClickException) -> str:
    """Click's message as one sentence that ends with the help to read."""
    context = getattr(error, "ctx", None)
    words = " ".join(error.format_message().split())
    return f"{words} See `{context.command_path} --help`." if context is not None else words


def _near(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean {near[0]}?" if near else ""
