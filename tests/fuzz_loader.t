#!/usr/bin/python3 -B
"""Random bytes as a kernel, and an initrd of a random size beside it."""
from fuzz import fuzz

fuzz('loader', 'any bytes as a kernel', 'launcher/loader.c',
     'launcher/memory.c', 'launcher/options.c', longest=8192)
