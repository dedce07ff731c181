"""Verdicts as findings: pictures, fingerprints, comparisons, notes."""
