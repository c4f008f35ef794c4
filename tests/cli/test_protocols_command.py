"""``affectrum protocols`` shows every protocol and all that modifies one."""

from __future__ import annotations

from affectrum.protocols import SPLITS, TARGET_USES, describe


def test_every_protocol_is_drawn_with_its_options(call) -> None:
    shown = call("protocols").out
    told = call("protocols", "--json").json()
    assert [info["id"] for info in told["protocols"]] == [info.id for info in describe()]
    for info in describe():
        assert info.id in shown
        assert all(line in shown for line in info.picture.splitlines())
        assert ", ".join(info.options) in shown
    for name in (*SPLITS, *TARGET_USES, "clip", "film", "series", "self-report"):
        assert name in shown
    assert set(told) == {
        "protocols",
        "scaling",
        "selection",
        "target_use",
        "split",
        "stimulus_disjoint",
        "labels",
    }
    assert "80/20/23" in told["split"]["faced-subjects"]
