from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import struct
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import pickles

ARRAYS = {
    "float64": np.arange(60.0).reshape(3, 4, 5),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "big endian": np.arange(6, dtype=">f8"),
    "float32": np.linspace(0, 1, 700, dtype="f4"),
    "int8": np.array([-1, 0, 1], dtype="i1"),
    "bool": np.array([[True, False]]),
    "complex": np.array([1 + 2j]),
    "empty": np.zeros((0, 310)),
    "scalar array": np.array(3.5),
    "words": np.array(["happy", "sad"]),
    "bytes": np.array([b"a", b"bcd"]),
    "high bytes": np.frombuffer(bytes(range(256)) * 4, "u1").copy(),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_protocol_come_back_equal(name, protocol):
    array = ARRAYS[name]
    got = pickles.load(pickle.dumps(array, protocol=protocol))
    assert got.shape == array.shape
    assert got.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(got, array)
    assert got.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_plain_containers_come_back_equal(protocol):
    value = {
        "a": [1, -2, 3.5, None, True, False, "text", "ä" * 400],
        3: (2**40, -(2**70), (), ((1, 2), [3])),
        (1, "x"): {"deep": {"deeper": []}},
        "scalar": np.float64(2.5),
    }
    assert pickles.load(pickle.dumps(value, protocol=protocol)) == value


def test_bytes_come_back_as_bytes():
    value = [b"", b"abc\xff", b"\x80" * 500]
    for protocol in range(6):
        assert pickles.load(pickle.dumps(value, protocol=protocol)) == value


def _python2(value):
    """Pickle a dict of float64 arrays as Python 2's cPickle does with protocol 2."""
    out = io.BytesIO()
    out.write(b"\x80\x02}q\x00(")

    def text(word):
        out.write(b"U" + bytes([len(word)]) + word)

    for key, array in value.items():
        text(key.encode())
        out.write(b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85")
        text(b"b")
        out.write(b"\x87R(K\x01")
        out.write(b"(" + b"".join(b"M" + struct.pack("<H", n) for n in array.shape) + b"t")
        out.write(b"cnumpy\ndtype\nq\x03")
        text(b"f8")
        out.write(b"K\x00K\x01\x87R(K\x03")
        text(b"<")
        out.write(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
        raw = array.astype("<f8").tobytes()
        out.write(b"T" + struct.pack("<I", len(raw)) + raw)
        out.write(b"tb")
    out.write(b"u.")
    return out.getvalue()


def test_python_2_pickles_as_deap_has_them():
    rng = np.random.default_rng(0)
    value = {"data": rng.normal(size=(2, 3, 50)), "labels": rng.uniform(1, 9, (2, 4))}
    data = _python2(value)
    assert pickle.loads(data, encoding="latin1").keys() == value.keys()  # the fixture is valid
    got = pickles.load(data)
    assert list(got) == ["data", "labels"]
    for key in value:
        np.testing.assert_array_equal(got[key], value[key])


def test_describe_tells_shapes_without_decoding(tmp_path):
    path = tmp_path / "s01.dat"
    value = {"data": np.zeros((40, 40, 100)), "labels": np.zeros((40, 4), "f4")}
    path.write_bytes(pickle.dumps(value, protocol=2))
    header = pickles.describe(path)
    assert header["data"] == pickles.ArrayHeader((40, 40, 100), "<f8")
    assert header["labels"] == pickles.ArrayHeader((40, 4), "<f4")


def test_only_the_named_arrays_are_decoded(tmp_path):
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.dumps({"data": np.zeros(4), "labels": np.ones(2)}))
    assert list(pickles.load(path, ["labels"])) == ["labels"]
    with pytest.raises(FileFormatError, match=r"lacks \['ratings'\]; it holds 'data', 'labels'"):
        pickles.load(path, ["ratings"])


class _Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def _dotted(module, name):
    return (
        b"\x80\x04\x8c"
        + bytes([len(module)])
        + module
        + b"\x8c"
        + bytes([len(name)])
        + name
        + b"\x93."
    )


HOSTILE = {
    "eval": (pickle.dumps(_Call(eval, "pytest.ran_code()")), "eval"),
    "exec": (pickle.dumps(_Call(exec, "import pytest; pytest.ran_code()")), "exec"),
    "system": (b"cos\nsystem\n(S'true'\ntR.", "'os'.'system'"),
    "posix": (b"cposix\nsystem\n(S'true'\ntR.", "system"),
    "numpy runstring": (b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.", "runstring"),
    "numpy.load": (b"cnumpy\nload\n(S'x'\ntR.", "'numpy'.'load'"),
    "numpy.f2py": (b"cnumpy.f2py\ncompile\n(S'x'\ntR.", "compile"),
    "getattr": (b"c__builtin__\ngetattr\n(S'x'\nS'y'\ntR.", "getattr"),
    "import": (b"c__builtin__\n__import__\n(S'os'\ntR.", "__import__"),
    "dotted": (_dotted(b"numpy", b"ndarray.tofile"), "ndarray.tofile"),
    "dotted module": (
        _dotted(b"numpy.core.multiarray", b"_reconstruct.__globals__"),
        "__globals__",
    ),
    "other codec function": (b"c_codecs\nlookup\n(S'zip'\ntR.", "lookup"),
    "other codec": (b"c_codecs\nencode\n(VAAAA\nVrot13\ntR.", "encode"),
    "bytes of a number": (b"c__builtin__\nbytes\n(L999999999999L\ntR.", "bytes"),
    "reconstruct another type": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00\x85C\x01btR.",
        "reconstruct",
    ),
    "call of the result": (b"cnumpy\ndtype\n(S'f8'\ntR(tR.", "call of Dtype"),
    "build on a name": (b"cnumpy\ndtype\n(N(dtb.", "state for Global"),
    "instance": (b"(ios\nsystem\n.", "INST"),
    "object": (b"(cnumpy\ndtype\no.", "OBJ"),
    "new object": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
    "persistent id": (b"Pabc\n.", "PERSID"),
    "extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "object array": (pickle.dumps(np.array([1, "a"], dtype=object)), "array of Python objects"),
    "structured array": (pickle.dumps(np.zeros(2, [("a", "f8")])), "dtype 'V8'"),
    "date array": (pickle.dumps(np.zeros(2, "M8[s]")), "dtype 'M8'"),
    "name left over": (b"cnumpy\ndtype\n.", "global"),
    "huge integer": (b"\x80\x02\x8b" + struct.pack("<I", 5000) + b"\xff" * 5000 + b".", "integer"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_by_name(name, monkeypatch):
    ran = []
    monkeypatch.setattr(pytest, "ran_code", lambda: ran.append(1), raising=False)
    data, word = HOSTILE[name]
    with pytest.raises(UnsafeFileError) as caught:
        pickles.load(data)
    assert word in str(caught.value)
    assert "not loaded" in str(caught.value)
    assert not ran


def test_nothing_is_imported_for_a_pickle():
    assert "this" not in sys.modules
    with pytest.raises(UnsafeFileError, match="'this'"):
        pickles.load(b"cthis\ns\n.")
    assert "this" not in sys.modules


BOMBS = {
    # 40 lists that each hold the one before twice: 2**40 values in 200 bytes
    "doubling lists": b"]q\x00"
    + b"0"
    + b"".join(
        b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) + b"0" for n in range(40)
    )
    + b"h\x28.",
    "list in itself": b"]q\x00h\x00a.",
    "deep nesting": b"]" * 1000 + b"a" * 999 + b".",
    "many opcodes": b"N0" * (pickles.MAX_OPCODES // 2 + 1) + b"N.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name):
    with pytest.raises(UnsafeFileError):
        pickles.load(BOMBS[name])


def _with_shape(shape):
    data = pickle.dumps(np.zeros(8), protocol=4)
    assert data.count(b"K\x08\x85") == 1
    return data.replace(b"K\x08\x85", shape)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_with_shape(b"\x8a\x05\0\0\0\0\x7f\x85"), id="huge shape"),
        pytest.param(_with_shape(b"J\xff\xff\xff\xff\x85"), id="negative shape"),
        pytest.param(_with_shape(b"K\x07\x85"), id="shape too small"),
        pytest.param(_with_shape(b"]\x85"), id="shape of lists"),
        pytest.param(b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".", id="huge bytearray"),
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 2**63 + 5) + b".", id="huge bytes"),
        pytest.param(b"\x80\x02T\xff\xff\xff\x7f.", id="huge string"),
        pytest.param(b"\x80\x02Nr\xff\xff\xff\xff0h\x00.", id="memo hole"),
        pytest.param(b"\x80\x63N.", id="protocol 99"),
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04 a zip", id="a zip"),
        pytest.param(b"MATLAB 5.0 MAT-file", id="a mat file"),
        pytest.param(b"{'data': 1}", id="json"),
        pytest.param(b"(.", id="mark only"),
        pytest.param(b"\x80\x02](N.", id="two values"),
        pytest.param(b"\x80\x02}](NNs.", id="mark as value"),
        pytest.param(b"\x80\x02}]K\x01s.", id="list as key"),
        pytest.param(b"\x80\x02NNs.", id="item of None"),
    ],
)
def test_damaged_pickles_are_format_errors(data):
    with pytest.raises(FileFormatError):
        pickles.load(data)


def test_large_memo_index_costs_no_memory():
    assert pickles.load(b"\x80\x02K\x05r\xff\xff\xff\xff0j\xff\xff\xff\xff.") == 5


def test_size_limit(tmp_path):
    path = tmp_path / "big.dat"
    path.write_bytes(pickle.dumps(np.zeros(1000)))
    with pytest.raises(UnsafeFileError, match="max_bytes"):
        pickles.load(path, max_bytes=100)


def test_missing_and_empty_files_are_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"s99\.dat"):
        pickles.load(tmp_path / "s99.dat")
    (tmp_path / "s01.dat").touch()
    with pytest.raises(FileFormatError, match="empty"):
        pickles.load(tmp_path / "s01.dat")


SAMPLES = [
    pickle.dumps({"data": np.arange(6.0).reshape(2, 3), "labels": np.ones((2, 4), "f4")}, protocol)
    for protocol in range(6)
] + [_python2({"data": np.arange(6.0).reshape(1, 2, 3)})]


@pytest.mark.parametrize("sample", range(len(SAMPLES)))
def test_every_truncation_is_a_format_error(sample):
    data = SAMPLES[sample]
    for n in range(len(data)):
        with pytest.raises(FileFormatError):
            pickles.load(data[:n])


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_altered_bytes_never_raise_anything_else(data, changes):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with contextlib.suppress(FileFormatError):
        pickles.load(bytes(damaged))
        pickles.describe(bytes(damaged))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=80))
@example(b"(N.")
@example(b"K\x01K\x02\x86.")
def test_random_bytes_never_raise_anything_else(data):
    with contextlib.suppress(FileFormatError):
        pickles.load(data)


_OPCODES = [op.code.encode("latin-1") for op in pickletools.opcodes]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(_OPCODES), st.binary(max_size=4)), max_size=30))
def test_random_programs_never_raise_anything_else(parts):
    with contextlib.suppress(FileFormatError):
        pickles.load(b"".join(parts) + b".")
