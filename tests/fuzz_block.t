#!/usr/bin/python3 -B
"""Random chains for the parser of disk requests."""
from fuzz import fuzz

fuzz('block', 'requests to a disk', 'launcher/block.c')
