#!/usr/bin/python3 -B
"""A random driver for the console, its keyboard and its reader."""
from fuzz import fuzz

fuzz('console', 'the console', 'launcher/virtqueue.c')
