#!/usr/bin/python3 -B
"""Random words for --tunnet, and a random driver for its device."""
from fuzz import fuzz

fuzz('net', 'the network device', 'launcher/virtqueue.c')
