"""Which release of a dependency, or which commit of one's own program, brought a leak or fixed it.

releases.py      the search over the releases of a package; commits.py the one over a git repository
search.py        which one to try next: pure
environments.py  an environment for each release, the rest of it as it was
trial.py         one run of the program, and what is made of it
opinion.py       whether a run shows the leak that is asked for: pure
kept.py          the folder that an interrupted search goes on from
"""
