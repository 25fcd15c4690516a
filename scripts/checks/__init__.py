# SPDX-License-Identifier: Apache-2.0
"""The checks of scripts/check.py, one module each: check(tree) gives the findings."""
