#!/usr/bin/python3 -B
"""Random damage to an ext2 file system, before the Guest's reader."""
from fuzz import fuzz

fuzz('ext2', "the Guest's reader of ext2", flags=['-m32'])
