"""A host's kernel that lacks something: a filter that refuses one call."""
import ctypes
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7fff0000
LD, JEQ, RET = 0x20, 0x15, 0x06


def refuse(call, action, argument=None):
    """A filter for this process and its children: if a call is made (with an
    argument (index, low half)), act. It stays on; run it in a child."""
    code = [(LD, 0, 0, 0)]                      # the call's number
    if argument:
        code += [(JEQ, 0, 2, call), (LD, 0, 0, 16 + 8 * argument[0]),
                 (JEQ, 1, 0, argument[1]), (RET, 0, 0, ALLOW)]
    else:
        code += [(JEQ, 1, 0, call), (RET, 0, 0, ALLOW)]
    code += [(RET, 0, 0, action)]
    text = ctypes.create_string_buffer(b''.join(
        struct.pack('<HBBI', *c) for c in code))
    program = ctypes.create_string_buffer(struct.pack(
        '<HxxxxxxQ', len(code), ctypes.addressof(text)))
    if LIBC.prctl(38, 1, 0, 0, 0) or LIBC.prctl(22, 2, program, 0, 0):
        os._exit(99)
