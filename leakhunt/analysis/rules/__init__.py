"""Verdicts: detectors that find candidates, doubts that speak against them, and growth accounted for."""
