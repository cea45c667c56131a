#!/usr/bin/python3 -B
"""Random words as a command line."""
from fuzz import fuzz

fuzz('options', 'any words as a command line')
