"""Write docs/commands.md: the help of every command, as the command gives it: `python docs/make_commands.py`."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli import COMMANDS
from leakhunt.cli.app import leakhunt

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# The commands

Made by `docs/make_commands.py` from the commands' own help. A command ends with 0 when all is fine, 1 when a leak was
found and `--fail-on-leak` asks for it, 2 for wrong use and 3 when it could not do it; `run` ends as the program did.
Colours and progress bars are for terminals only; `NO_COLOR` is respected.

A `leakhunt.toml` in the directory in which leakhunt is called adds to what it knows: places that are harmless, and
what to do about others.

```toml
[[harmless]]
owner = "shop.prices.CACHE"
why = "one entry per article, 40,000 at most"

[[leak]]
owner = "shop.audit.Trail.entries"
advice = "Call Trail.flush() at the end of a request."
```
"""


def page() -> str:
    """The whole page, one section per command."""
    top = click.Context(leakhunt, info_name="leakhunt", max_content_width=100, terminal_width=100)
    parts = [HEAD]
    for name in COMMANDS:
        command = leakhunt.get_command(top, name)
        assert command is not None
        text = command.get_help(
            click.Context(command, info_name=name, parent=top, max_content_width=100, terminal_width=100)
        )
        parts.append(f"## leakhunt {name}\n\n```console\n$ leakhunt {name} --help\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
