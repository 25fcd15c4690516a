"""The checks of scripts/check.py, one module each: check(tree) gives the findings."""
