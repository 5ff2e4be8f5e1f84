"""The structures of `kernel.h`, field by field."""

from ctypes import CFUNCTYPE, POINTER, Structure, c_bool, c_char_p, c_double, c_int32, c_int64, c_void_p
from typing import Any


class Projection(Structure):
    _fields_ = [
        ("depth", c_int32),
        ("blocks", c_int32),
        ("bfloat16", c_int32),
        ("count", c_int64),
        ("rows", c_void_p),
        ("input", c_void_p),
        ("input_stride", c_int64),
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("out", c_void_p),
        ("out_stride", c_int64),
    ]


class Bag(Structure):
    _fields_ = [
        ("size", c_int32),
        ("width", c_int32),
        ("count", c_int64),
        ("ids", c_void_p),
        ("table", c_void_p),
        ("out", c_void_p),
        ("out_stride", c_int64),
    ]


class LookUp(Structure):
    _fields_ = [("tables", c_int32), ("bias", c_void_p), ("table", c_void_p), ("ids", c_void_p)]


class Recurrence(Structure):
    _fields_ = [
        ("gates", c_int32),
        ("units", c_int32),
        ("texts", c_int32),
        ("time", c_int32),
        ("bfloat16", c_int32),
        ("reverse", c_int32),
        ("recorded", c_int32),
        ("lengths", c_void_p),
        ("order", c_void_p),
        ("weights", c_void_p),
        ("preactivations", c_void_p),
        ("look_up", POINTER(LookUp)),
        ("out", c_void_p),
        ("out_stride", c_int64),
        ("record", c_void_p),
        ("record_stride", c_int64),
        ("hidden_state", c_void_p),
        ("cell_state", c_void_p),
        ("last_cell_state", c_void_p),
    ]


class Pool(Structure):
    _fields_ = [
        ("texts", c_int32),
        ("time", c_int32),
        ("width", c_int32),
        ("lengths", c_void_p),
        ("input", c_void_p),
        ("out", c_void_p),
    ]


class Check(Structure):
    _fields_ = [
        ("gates", c_int32),
        ("units", c_int32),
        ("depth", c_int32),
        ("reverse", c_int32),
        ("steps", c_int32),
        ("time", c_int64),
        ("timesteps", c_void_p),
        ("input", c_void_p),
        ("weight_ih", c_void_p),
        ("weight_hh", c_void_p),
        ("bias_ih", c_void_p),
        ("bias_hh", c_void_p),
        ("activations", c_void_p * 6),
        ("largest", c_double),
    ]


def _function(structure: type[Structure]) -> Any:
    return CFUNCTYPE(None, POINTER(structure))


class Target(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("width", c_int32),
        ("runs_here", CFUNCTYPE(c_bool)),
        ("project", _function(Projection)),
        ("bag", _function(Bag)),
        ("recur", _function(Recurrence)),
        ("pool", _function(Pool)),
        ("check", _function(Check)),
    ]
