"""Figures and alarms while a run goes on, in a process beside leakhunt's own: `python -m leakhunt.monitor`.

It reads the run folder as it grows and nothing else, so the program that is measured does not notice; `beside` is the
side of the one that starts it.
"""
