"""The opcodes of a pickle, walked without running them; used by `affectrum.recordings.pickles`.

Only what plain data and numeric arrays need is known. The values that come out are still
descriptions: views into the file, and the states of arrays that were not built yet.
"""

from __future__ import annotations

import codecs
import math
import re
import struct
from collections.abc import Callable
from typing import Any, Final

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings.pickle_values import (
    ALLOWED_GLOBALS,
    BYTES,
    DTYPE,
    ENCODE,
    FROM_BUFFER,
    NDARRAY,
    RECONSTRUCT,
    SCALAR,
    ArrayState,
    Dtype,
    Encoded,
    Global,
    Scalar,
    View,
)

__all__ = ["MAX_DEPTH", "MAX_OPCODES", "Walker"]

MAX_OPCODES: Final = 2_000_000
"""Most opcodes that are walked: a file of arrays needs a few dozen for each."""

MAX_DEPTH: Final = 32
"""Deepest nesting of lists, tuples and dicts in the result."""

_DTYPE_SPEC = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16|[SU][1-9][0-9]{0,3})")
_OBJECT_SPECS = frozenset({"O", "O8", "O4"})
_LATIN1 = frozenset({"latin1", "latin-1", "iso-8859-1"})
_KEPT_AS_VIEW = 256  # longer strings stay views into the file until they are asked for

_MARK = object()
_SMALL_SEQUENCES = {0x85: 1, 0x86: 2, 0x87: 3}

# Opcodes that exist and are refused, with the word the message uses.
_REFUSED = {
    ord("P"): "PERSID",
    ord("Q"): "BINPERSID",
    ord("i"): "INST",
    ord("o"): "OBJ",
    0x81: "NEWOBJ",
    0x92: "NEWOBJ_EX",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x8F: "EMPTY_SET",
    0x90: "ADDITEMS",
    0x91: "FROZENSET",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
}


class Walker:
    """Walks the opcodes of one pickle.

    Parameters
    ----------
    view : memoryview
        The pickle.
    where : str
        The file's name for messages.
    boxed : bool
        Let an array of exactly one Python object pass, as ``np.save`` writes it; what is in it is
        walked by the same rules.
    """

    def __init__(self, view: memoryview, where: str, *, boxed: bool = False) -> None:
        self.view = view
        self.where = where
        self.boxed = boxed
        self.position = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Walk to the end and return the description of what the pickle holds.

        Raises
        ------
        UnsafeFileError, FileFormatError
            As `affectrum.recordings.pickles.load`.
        """
        for _ in range(MAX_OPCODES):
            opcode = self._take(1)[0]
            if opcode == 0x2E:  # STOP
                if len(self.stack) != 1:
                    raise FileFormatError(f"{self.where}: the pickle ends before it is complete.")
                return self.stack[0]
            handler = _HANDLERS.get(opcode)
            if handler is None:
                if opcode in _REFUSED:
                    raise self._unsafe(f"the pickle operation {_REFUSED[opcode]}")
                raise FileFormatError(
                    f"{self.where}: not a pickle (unknown operation 0x{opcode:02x} at byte "
                    f"{self.position - 1}). The file is damaged or of another kind."
                )
            handler(self)
        raise UnsafeFileError(
            f"{self.where}: more than {MAX_OPCODES} pickle operations; a file of arrays needs far "
            "fewer. It was not loaded."
        )

    def _unsafe(self, what: str) -> UnsafeFileError:
        return UnsafeFileError(
            f"{self.where}: the file asks for {what}, which numeric arrays do not need. It was not "
            "loaded. Get the file from its source again, or save the arrays as .mat or .npy."
        )

    # reading

    def _take(self, n: int) -> memoryview:
        end = self.position + n
        if n < 0 or end > len(self.view):
            raise FileFormatError(
                f"{self.where}: truncated: {n} bytes wanted at byte {self.position}, the file has "
                f"{len(self.view)}. Copy it again."
            )
        piece = self.view[self.position : end]
        self.position = end
        return piece

    def _line(self) -> bytes:
        end = self.position
        limit = len(self.view)
        pieces: list[bytes] = []
        while end < limit:
            piece = bytes(self.view[end : end + 4096])
            cut = piece.find(b"\n")
            if cut >= 0:
                pieces.append(piece[:cut])
                self.position = end + cut + 1
                return b"".join(pieces)
            pieces.append(piece)
            end += len(piece)
        raise FileFormatError(f"{self.where}: truncated inside a line. Copy the file again.")

    def _unsigned(self, n: int) -> int:
        return int.from_bytes(self._take(n), "little")

    def _string(self, n: int, kind: str) -> Any:
        piece = self._take(n)
        if n > _KEPT_AS_VIEW:
            return View(piece, kind)
        if kind == "bytes":
            return bytes(piece)
        return str(piece, "utf-8" if kind == "text" else "latin-1")

    # stack

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the topmost value from the stack."""
        value = self.stack.pop()
        if value is _MARK:
            raise FileFormatError(f"{self.where}: a damaged pickle (mark where a value belongs).")
        return value

    def pop_to_mark(self) -> list[Any]:
        """Take all values above the topmost mark, and the mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise FileFormatError(f"{self.where}: a damaged pickle (mark missing).")

    def top(self, kind: type) -> Any:
        """Return the topmost value, which must be of a kind."""
        value = self.stack[-1]
        if type(value) is not kind:
            raise FileFormatError(
                f"{self.where}: a damaged pickle ({kind.__name__} expected, "
                f"{type(value).__name__} found)."
            )
        return value

    def put(self, index: int) -> None:
        """Remember the topmost value."""
        self.memo[index] = self.stack[-1]

    def set_items(self, target: dict[Any, Any], values: list[Any]) -> None:
        """Enter keys and values that alternate."""
        if len(values) % 2:
            raise FileFormatError(f"{self.where}: a damaged pickle (key without value).")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key, self.where)] = value

    # names, and the few calls that are understood

    def push_global(self, module: Any, name: Any) -> None:
        """Recognise a name, or refuse it; nothing is imported."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise FileFormatError(f"{self.where}: a damaged pickle (a name is not text).")
        kind = ALLOWED_GLOBALS.get((module, name))
        if kind is None:
            raise self._unsafe(f"the name {module[:80]!r}.{name[:80]!r}")
        self.push(Global(kind))

    def reduce(self) -> None:
        """Describe the outcome of a call of a recognised name; nothing is called."""
        arguments, target = self.pop(), self.pop()
        if type(target) is not Global:
            raise self._unsafe(f"a call of {type(target).__name__.strip('_')}")
        if type(arguments) is not tuple:
            raise FileFormatError(f"{self.where}: a damaged pickle (arguments are not a tuple).")
        self.push(self._rebuild(target.kind, arguments))

    def _rebuild(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        if kind == RECONSTRUCT and len(arguments) == 3:
            subtype = arguments[0]
            if type(subtype) is Global and subtype.kind == NDARRAY:
                return ArrayState()
        elif kind == DTYPE and 1 <= len(arguments) <= 3:
            return Dtype(self._dtype_spec(arguments[0]))
        elif kind == SCALAR and len(arguments) == 2 and type(arguments[0]) is Dtype:
            return Scalar(arguments[0], arguments[1])
        elif kind == ENCODE and len(arguments) == 2:
            text, encoding = arguments
            if isinstance(text, str | View) and encoding in _LATIN1:
                return Encoded(text)
        elif kind == BYTES and not arguments:
            return b""
        elif kind == FROM_BUFFER and len(arguments) == 4:
            raw, dtype, shape, order = arguments
            if type(dtype) is Dtype and order in ("C", "F"):
                array = ArrayState()
                self._fill(array, shape, dtype, order == "F", raw)
                return array
        raise self._unsafe(f"{kind!r} with arguments that no array has")

    def _dtype_spec(self, spec: Any) -> str:
        if not isinstance(spec, str):
            raise self._unsafe("a dtype that is not named by a string")
        if self.boxed and spec in _OBJECT_SPECS:
            return "|O"
        if not _DTYPE_SPEC.fullmatch(spec):
            what = (
                "an array of Python objects"
                if spec.strip("<>|=") in _OBJECT_SPECS
                else (f"an array of dtype {spec[:40]!r}")
            )
            raise self._unsafe(what)
        return spec

    def _fill(self, array: ArrayState, shape: Any, dtype: Dtype, fortran: bool, raw: Any) -> None:
        if (
            type(shape) is not tuple
            or len(shape) > MAX_DEPTH
            or not all(type(n) is int and 0 <= n < 2**48 for n in shape)
        ):
            raise FileFormatError(f"{self.where}: an array's shape is not valid: {shape!r:.80}.")
        # with `boxed` alone there are objects: one, in the list that stands for the content
        is_one = math.prod(shape) == 1 and type(raw) is list and len(raw) == 1
        if dtype.spec.endswith("O") and not is_one:
            raise self._unsafe("an array of Python objects")
        array.shape, array.dtype, array.fortran, array.raw = shape, dtype, fortran, raw

    def build(self) -> None:
        """Give a description its state."""
        state = self.pop()
        target = self.stack[-1]
        if type(state) is not tuple:
            raise self._unsafe("object state that is not a tuple")
        if type(target) is ArrayState:
            # (version, shape, dtype, is_fortran, data); the version was added later
            values = state[1:] if len(state) == 5 else state
            if len(values) != 4 or type(values[1]) is not Dtype:
                raise FileFormatError(f"{self.where}: an array's state is not valid.")
            self._fill(target, values[0], values[1], bool(values[2]), values[3])
        elif type(target) is Dtype:
            # (version, byte order, subdtype, names, fields, size, alignment, flags[, metadata])
            if len(state) < 5 or any(part is not None for part in state[2:5]):
                raise self._unsafe("a structured dtype")
            order = state[1]
            if order not in ("<", ">", "|", "="):
                raise FileFormatError(f"{self.where}: byte order {order!r:.20} is not valid.")
            target.spec = order + target.spec.lstrip("<>|=")
        else:
            raise self._unsafe(f"object state for {type(target).__name__.strip('_')}")


def _key(key: Any, where: str) -> Any:
    if isinstance(key, str | bytes | int | float | bool) or key is None:
        return key
    if type(key) is tuple and all(isinstance(k, str | bytes | int | float) for k in key):
        return key
    raise FileFormatError(f"{where}: a dict key of kind {type(key).__name__.strip('_')}.")


def _small_integer(value: int, n_bytes: int, where: str) -> None:
    if n_bytes > 16:
        raise UnsafeFileError(f"{where}: an integer of {n_bytes} bytes. The file was not loaded.")


def _handle_int(walker: Walker) -> None:
    line = walker._line()
    if line in (b"00", b"01"):
        walker.push(line == b"01")
        return
    _small_integer(0, len(line) // 2, walker.where)
    walker.push(int(line))


def _handle_long_text(walker: Walker) -> None:
    line = walker._line().rstrip(b"L")
    _small_integer(0, len(line) // 2, walker.where)
    walker.push(int(line))


def _handle_long(width: int) -> Callable[[Walker], None]:
    def handle(walker: Walker) -> None:
        n = walker._unsigned(width)
        _small_integer(0, n, walker.where)
        walker.push(int.from_bytes(walker._take(n), "little", signed=True))

    return handle


def _handle_string_text(walker: Walker) -> None:
    line = walker._line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise FileFormatError(f"{walker.where}: a damaged pickle (string without quotes).")
    walker.push(str(codecs.escape_decode(line[1:-1])[0], "latin-1"))


def _handle_string(width: int, kind: str) -> Callable[[Walker], None]:
    return lambda walker: walker.push(walker._string(walker._unsigned(width), kind))


def _handle_constant(value: Any) -> Callable[[Walker], None]:
    return lambda walker: walker.push(value)


def _handle_struct(code: str) -> Callable[[Walker], None]:
    layout = struct.Struct(code)
    return lambda walker: walker.push(layout.unpack(walker._take(layout.size))[0])


def _handle_tuple_small(n: int) -> Callable[[Walker], None]:
    def handle(walker: Walker) -> None:
        values = [walker.pop() for _ in range(n)]
        walker.push(tuple(reversed(values)))

    return handle


def _handle_dict(walker: Walker) -> None:
    target: dict[Any, Any] = {}
    walker.set_items(target, walker.pop_to_mark())
    walker.push(target)


def _handle_set_item(walker: Walker) -> None:
    value, key = walker.pop(), walker.pop()
    walker.set_items(walker.top(dict), [key, value])


def _handle_set_items(walker: Walker) -> None:
    values = walker.pop_to_mark()
    walker.set_items(walker.top(dict), values)


def _handle_append(walker: Walker) -> None:
    value = walker.pop()
    walker.top(list).append(value)


def _handle_appends(walker: Walker) -> None:
    values = walker.pop_to_mark()
    walker.top(list).extend(values)


def _handle_global(walker: Walker) -> None:
    module = str(walker._line(), "utf-8")
    walker.push_global(module, str(walker._line(), "utf-8"))


def _handle_stack_global(walker: Walker) -> None:
    name, module = walker.pop(), walker.pop()
    walker.push_global(module, name)


def _handle_protocol(walker: Walker) -> None:
    protocol = walker._unsigned(1)
    if protocol > 5:
        raise FileFormatError(f"{walker.where}: pickle protocol {protocol}; 0 to 5 are known.")


def _handle_frame(walker: Walker) -> None:
    walker._take(8)  # a hint for reading ahead, not needed here


def _handle_pop(walker: Walker) -> None:
    walker.stack.pop()


def _handle_pop_mark(walker: Walker) -> None:
    walker.pop_to_mark()


_HANDLERS: dict[int, Callable[[Walker], None]] = {
    0x80: _handle_protocol,
    0x95: _handle_frame,
    ord("("): lambda walker: walker.push(_MARK),
    ord("0"): _handle_pop,
    ord("1"): _handle_pop_mark,
    ord("N"): _handle_constant(None),
    0x88: _handle_constant(True),
    0x89: _handle_constant(False),
    ord("I"): _handle_int,
    ord("J"): _handle_struct("<i"),
    ord("K"): _handle_struct("<B"),
    ord("M"): _handle_struct("<H"),
    ord("L"): _handle_long_text,
    0x8A: _handle_long(1),
    0x8B: _handle_long(4),
    ord("F"): lambda walker: walker.push(float(walker._line())),
    ord("G"): _handle_struct(">d"),
    ord("S"): _handle_string_text,
    ord("T"): _handle_string(4, "python2"),
    ord("U"): _handle_string(1, "python2"),
    ord("B"): _handle_string(4, "bytes"),
    ord("C"): _handle_string(1, "bytes"),
    0x8E: _handle_string(8, "bytes"),
    0x96: _handle_string(8, "bytes"),
    ord("V"): lambda walker: walker.push(str(walker._line(), "raw-unicode-escape")),
    ord("X"): _handle_string(4, "text"),
    0x8C: _handle_string(1, "text"),
    0x8D: _handle_string(8, "text"),
    ord("]"): lambda walker: walker.push([]),
    ord("l"): lambda walker: walker.push(walker.pop_to_mark()),
    ord("a"): _handle_append,
    ord("e"): _handle_appends,
    ord("}"): lambda walker: walker.push({}),
    ord("d"): _handle_dict,
    ord("s"): _handle_set_item,
    ord("u"): _handle_set_items,
    ord(")"): _handle_constant(()),
    ord("t"): lambda walker: walker.push(tuple(walker.pop_to_mark())),
    **{opcode: _handle_tuple_small(n) for opcode, n in _SMALL_SEQUENCES.items()},
    ord("c"): _handle_global,
    0x93: _handle_stack_global,
    ord("R"): lambda walker: walker.reduce(),
    ord("b"): lambda walker: walker.build(),
    ord("p"): lambda walker: walker.put(int(walker._line())),
    ord("q"): lambda walker: walker.put(walker._unsigned(1)),
    ord("r"): lambda walker: walker.put(walker._unsigned(4)),
    0x94: lambda walker: walker.put(len(walker.memo)),
    ord("g"): lambda walker: walker.push(walker.memo[int(walker._line())]),
    ord("h"): lambda walker: walker.push(walker.memo[walker._unsigned(1)]),
    ord("j"): lambda walker: walker.push(walker.memo[walker._unsigned(4)]),
}
