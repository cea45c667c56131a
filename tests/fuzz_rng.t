#!/usr/bin/python3 -B
"""A random driver for the entropy device, and a source with moods."""
from fuzz import fuzz

fuzz('rng', 'the entropy device', 'launcher/virtqueue.c')
