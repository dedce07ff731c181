"""`python -m leakhunt` is the `leakhunt` command."""

from leakhunt.cli import main

main()
