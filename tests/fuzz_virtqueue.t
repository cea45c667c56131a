#!/usr/bin/python3 -B
"""Random descriptors for the virtqueue walker."""
from fuzz import fuzz

fuzz('virtqueue', 'the virtqueue walker', 'launcher/virtqueue.c')
