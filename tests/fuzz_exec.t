#!/usr/bin/python3 -B
"""Random bytes as a program for the Guest."""
from fuzz import fuzz

fuzz('exec', "the Guest's loader of programs", flags=['-m32'])
