#!/usr/bin/python3 -B
"""Random frames for the Guest's small network."""
from fuzz import fuzz

# A frame's 32-bit words lie behind an Ethernet header of 14 bytes, aligned to
# nothing; the kernel knows that it runs on an x86.
fuzz('inet', 'frames for the Guest',
     flags=['-m32', '-fno-sanitize=alignment'])
