"""A look inside the SIP stack: how many packets of a call have left, how many wait, when the newest one arrived.

The library's interface gives PCM and no packets. The C functions that it is made of are exported all the same, and a
handful of them, which only read, tell what the clock of the wire is missing. They are called under the stack's own
lock, by the SIP Call-ID and never by a pointer kept from before, so that a call that has just ended is not found
instead of being touched. Where a function is missing, or the version is another, there is nothing to see and the legs
fall back to what is known of the stack on average.
"""

import ctypes
import fcntl
import logging
import struct
import time
from functools import cache

from baresip import _native

from agent.telephony.wireclock import Counters

log = logging.getLogger(__name__)

KNOWN_VERSION = b"4.10."
"""Of baresip: the meaning of its structures was read in the source of this one."""
SIOCGSTAMPNS = 0x8907
"""linux/sockios.h: when the datagram came that a socket's reader took last. Asked by us, of our own socket."""
_TIMESPEC = struct.Struct("qq")
_QUEUED = 11
"""Index of `c_packets` in struct jbuf_stat, a row of 32 bit numbers."""
_POINTERS = (
    ("uag_call_find", ctypes.c_char_p),
    ("call_audio", ctypes.c_void_p),
    ("audio_strm", ctypes.c_void_p),
    ("stream_rtp_sock", ctypes.c_void_p),
    ("rtp_sock", ctypes.c_void_p),
)


class StackView:
    """Made by `stack_view`."""

    def __init__(self, path: str) -> None:
        """Raises OSError, and AttributeError where a function is missing."""
        # Who waits for the stack's lock must not keep the interpreter's: the thread that holds the one may be waiting
        # for the other, to call us. The rest wait for nobody, and are over sooner if they keep it.
        self._enter = ctypes.CDLL(path).re_thread_enter
        self._enter.restype = None
        library = ctypes.PyDLL(path)
        for name, argument in _POINTERS:
            function = getattr(library, name)
            function.argtypes, function.restype = [argument], ctypes.c_void_p
        library.stream_metric_get_tx_n_packets.argtypes = [ctypes.c_void_p]
        library.stream_metric_get_tx_n_packets.restype = ctypes.c_uint32
        library.stream_jbuf_stats.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        library.udp_sock_fd.argtypes = [ctypes.c_void_p]
        library.re_thread_leave.restype = None
        self._library = library
        self._numbers = (ctypes.c_uint32 * 64)()  # far more than the structure has
        self._stamp = bytearray(_TIMESPEC.size)

    def counters(self, call_id: str) -> Counters | None:
        """None for a call that is not there or has no sound. Only while the stack runs. Takes about 20 µs; waits for
        the stack's thread where that is busy."""
        library = self._library
        self._enter()
        try:
            call = library.uag_call_find(call_id.encode())
            stream = library.audio_strm(library.call_audio(call)) if call else None
            if not stream or library.stream_jbuf_stats(stream, self._numbers):
                return None
            sent: int = library.stream_metric_get_tx_n_packets(stream)
            arrived = self._arrival(library.udp_sock_fd(library.rtp_sock(library.stream_rtp_sock(stream))))
        finally:
            library.re_thread_leave()
        return Counters(sent, int(self._numbers[_QUEUED]), arrived)

    def _arrival(self, descriptor: int) -> float | None:
        """The kernel stamps with the wall clock; only the age is taken from that. The first question turns the stamps
        of a socket on, and has no answer yet."""
        try:
            fcntl.ioctl(descriptor, SIOCGSTAMPNS, self._stamp)
        except OSError:
            return None
        seconds, nanoseconds = _TIMESPEC.unpack(self._stamp)
        age: int = time.time_ns() - seconds * 10**9 - nanoseconds
        return time.monotonic() - age / 1e9


@cache
def stack_view() -> StackView | None:
    """None where the stack is not the one that is known."""
    try:
        library = ctypes.CDLL(_native.__file__)
        library.bp_version.restype = ctypes.c_char_p
        if library.bp_version().startswith(KNOWN_VERSION):
            return StackView(_native.__file__)
        why = "another version of baresip"
    except (AttributeError, OSError) as error:
        why = str(error)
    log.warning("times on the wire are estimated", extra={"why": why})
    return None
