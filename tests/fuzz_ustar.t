#!/usr/bin/python3 -B
"""Random bytes as the Guest's initial ramdisk."""
from fuzz import fuzz

fuzz('ustar', "the Guest's reader of ustar", flags=['-m32'], longest=4096)
