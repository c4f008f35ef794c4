"""Downloads against a local server that breaks off, lies, and changes its mind.

No test reaches the real bucket: what is proven is the protocol, not the vendor's service.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from affectrum.cli.app import main
from affectrum.downloads import BUCKET, RemoteFile, download, list_files, plan_download
from affectrum.downloads.fetch import PARTS, check_content
from affectrum.errors import ConfigError, DownloadError, FileFormatError

EDF = "sub-01/eeg/sub-01_task-emotion_eeg.edf"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".affectrum")
    }


def expected(bucket) -> dict[str, bytes]:
    prefix = "ds900001/"
    return {
        key.removeprefix(prefix): content
        for key, content in bucket.files.items()
        if key.startswith(prefix)
    }


def get(bucket, folder: Path, **options):
    plan = plan_download("open", folder, base=bucket.url, **options)
    return download(plan, pause_s=0.01)


def test_the_listing_is_read_page_by_page(bucket) -> None:
    files = list_files("ds900001", bucket.url)
    assert {file.path: file.size for file in files} == {
        path: len(content) for path, content in expected(bucket).items()
    }
    assert len([asked for asked in bucket.asked if asked[0].startswith("?")]) == 3
    by_path = {file.path: file for file in files}
    assert by_path[EDF].subject == "01"
    assert by_path["derivatives/sub-01/ica & filtered.npy"].subject == "01"
    assert by_path["README"].subject == ""
    assert BUCKET == "https://s3.amazonaws.com/openneuro.org"


def test_everything_comes_whole_and_checked(bucket, tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []
    plan = plan_download("OPEN", tmp_path / "x", base=bucket.url)
    assert not (tmp_path / "x").exists()
    report = download(plan, progress=lambda done, total, path: told.append((done, total)))
    assert contents(tmp_path / "x") == expected(bucket)
    assert (report.fetched, report.kept) == (8, 0)
    assert report.checked == {"checksum": 8}
    assert report.n_bytes == plan.n_bytes == told[-1][0] == told[-1][1]
    assert report.version == "doi:10.18112/openneuro.ds900001.v1.0.2"
    assert not (tmp_path / "x" / PARTS).exists()


def test_a_second_run_fetches_nothing(bucket, tmp_path: Path) -> None:
    get(bucket, tmp_path)
    bucket.asked.clear()
    report = get(bucket, tmp_path)
    assert (report.fetched, report.kept) == (0, 8)
    assert report.checked == {"checksum": 8}
    assert all(name.startswith("?") for name, _ in bucket.asked)


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(bucket, tmp_path: Path) -> None:
    size = len(bucket.files[f"ds900001/{EDF}"])
    bucket.cut_after[f"ds900001/{EDF}"] = [1000, 500]
    get(bucket, tmp_path, subjects=["01"])
    asked = [wanted for name, wanted in bucket.asked if name.endswith(EDF)]
    assert asked == [None, "bytes=1000-", "bytes=1500-"]
    assert size == 4000
    assert (tmp_path / EDF).read_bytes() == bucket.files[f"ds900001/{EDF}"]


def test_what_came_is_kept_for_the_next_run(bucket, tmp_path: Path) -> None:
    bucket.cut_after[f"ds900001/{EDF}"] = [1000, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"1 of 8 files .*\n.*1000 of 4000|1 of 8 files"):
        get(bucket, tmp_path)
    assert not (tmp_path / EDF).exists()
    (part,) = (path for path in (tmp_path / PARTS).rglob("*") if path.is_file())
    assert part.stat().st_size == 1000
    bucket.asked.clear()
    report = get(bucket, tmp_path)
    assert (report.fetched, report.kept) == (1, 7)
    assert [wanted for name, wanted in bucket.asked if name.endswith(EDF)] == ["bytes=1000-"]
    assert contents(tmp_path) == expected(bucket)


def test_a_kill_after_the_last_byte_costs_no_transfer(bucket, tmp_path: Path) -> None:
    (file,) = (f for f in list_files("ds900001", bucket.url) if f.path == EDF)
    tag = hashlib.sha256(file.etag.encode()).hexdigest()[:12]
    part = tmp_path / PARTS / f"{EDF}.{tag}"
    part.parent.mkdir(parents=True)
    part.write_bytes(bucket.files[f"ds900001/{EDF}"])
    bucket.asked.clear()
    get(bucket, tmp_path)
    assert EDF not in [name.removeprefix("ds900001/") for name, _ in bucket.asked]
    assert contents(tmp_path) == expected(bucket)


def test_content_that_is_not_what_was_announced_is_thrown_away(bucket, tmp_path: Path) -> None:
    key = f"ds900001/{EDF}"
    damaged = bytes([bucket.files[key][0] ^ 1]) + bucket.files[key][1:]
    bucket.wrong[key] = [damaged]
    assert get(bucket, tmp_path).checked == {"checksum": 8}
    assert contents(tmp_path) == expected(bucket)
    shutil.rmtree(tmp_path)
    bucket.wrong[key] = [damaged] * 9
    with pytest.raises(DownloadError, match="does not have the server's checksum"):
        get(bucket, tmp_path)
    assert not (tmp_path / EDF).exists()


def test_a_server_without_ranges_or_with_too_much_does_no_harm(bucket, tmp_path: Path) -> None:
    key = f"ds900001/{EDF}"
    bucket.ignore_ranges = True
    bucket.cut_after[key] = [1000]
    get(bucket, tmp_path)
    assert contents(tmp_path) == expected(bucket)
    shutil.rmtree(tmp_path)
    bucket.wrong[key] = [b"x" * 10_000_000]
    get(bucket, tmp_path)
    assert contents(tmp_path) == expected(bucket)


def test_what_differs_is_fetched_again(bucket, tmp_path: Path) -> None:
    get(bucket, tmp_path)
    size = len(bucket.files[f"ds900001/{EDF}"])
    (tmp_path / EDF).write_bytes(b"y" * size)
    (tmp_path / "README").write_bytes(b"short")
    report = get(bucket, tmp_path)
    assert (report.fetched, report.kept) == (2, 6)
    assert contents(tmp_path) == expected(bucket)
    # the vendor publishes another version of a file
    bucket.files["ds900001/README"] = b"new" * 1000
    report = get(bucket, tmp_path)
    assert (report.fetched, report.kept) == (1, 7)
    assert contents(tmp_path) == expected(bucket)


def test_a_part_of_an_older_content_is_not_continued(bucket, tmp_path: Path) -> None:
    key = f"ds900001/{EDF}"
    bucket.cut_after[key] = [1000, 0, 0, 0]
    with pytest.raises(DownloadError):
        get(bucket, tmp_path)
    bucket.files[key] = bytes(reversed(bucket.files[key]))
    bucket.asked.clear()
    get(bucket, tmp_path)
    assert [wanted for name, wanted in bucket.asked if name.endswith(EDF)] == [None]
    assert contents(tmp_path) == expected(bucket)


def test_a_part_of_the_subjects(bucket, tmp_path: Path) -> None:
    plan = plan_download(
        "open", tmp_path, subjects=["sub-02"], skip=["derivatives/*"], base=bucket.url
    )
    assert plan.subjects == ("01", "02")
    assert set(plan.by_subject()) == {"", "02"}
    download(plan)
    assert {path for path in contents(tmp_path) if "sub-" in path} == {
        "sub-02/eeg/sub-02_task-emotion_eeg.edf"
    }
    assert (tmp_path / "participants.tsv").is_file()
    # more subjects later: what is there stays
    report = get(bucket, tmp_path)
    assert (report.fetched, report.kept) == (3, 5)
    for wrong, told in ((["3"], "has no subject 3. Its subjects are 01, 02"), ([], "none was")):
        with pytest.raises(ConfigError, match=told):
            plan_download("open", tmp_path, subjects=wrong, base=bucket.url)


def test_checksums_of_files_that_were_uploaded_in_parts(tmp_path: Path) -> None:
    content = bytes(range(256)) * (9 << 12)  # 9 MiB: two parts of 8 MiB
    path = tmp_path / "x"
    path.write_bytes(content)
    parts = [hashlib.md5(content[: 8 << 20]).digest(), hashlib.md5(content[8 << 20 :]).digest()]
    good = f"{hashlib.md5(b''.join(parts)).hexdigest()}-2"
    assert check_content(path, RemoteFile("x", len(content), good, "")) == "checksum"
    assert check_content(path, RemoteFile("x", len(content), "0" * 32 + "-2", "")) == "size"
    assert check_content(path, RemoteFile("x", len(content), "", "")) == "size"
    assert check_content(path, RemoteFile("x", len(content), "0" * 32, "")) is None
    assert check_content(path, RemoteFile("x", len(content) + 1, good, "")) is None


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        (b"not xml", "is no XML"),
        (b"<html/>", "is no listing but <html>"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>", "defines entities"),
        (b"<ListBucketResult/>", "has no data set"),
        *(
            (
                f"<ListBucketResult><Contents><Key>{key}</Key><Size>{size}</Size></Contents>"
                "</ListBucketResult>".encode(),
                "entry that can't be",
            )
            for key, size in (
                ("ds900001/../evil", 1),
                ("ds900001//etc/passwd", 1),
                ("ds900001/a\\..\\b", 1),
                ("ds900001/C:x", 1),
                ("ds900001/.affectrum-parts/x", 1),
                ("other/file", 1),
                ("ds900001/a", -1),
                ("ds900001/a", "many"),
            )
        ),
    ],
)
def test_damaged_and_hostile_listings(bucket, tmp_path: Path, listing, told) -> None:
    bucket.listing = listing
    with pytest.raises((FileFormatError, DownloadError), match=told):
        plan_download("open", tmp_path / "x", base=bucket.url)
    assert not (tmp_path / "x").exists()


def test_a_listing_without_end_is_given_up(bucket, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("affectrum.downloads.bucket._PAGE_BYTES", 1000)
    bucket.listing = b"<ListBucketResult>" + b" " * 5_000_000
    with pytest.raises(FileFormatError, match="larger than any listing"):
        plan_download("open", tmp_path, base=bucket.url)


def test_no_server_and_no_room(bucket, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(DownloadError, match="Check the connection"):
        plan_download("open", tmp_path, base="http://127.0.0.1:9/bucket")
    with pytest.raises(DownloadError, match="is no address"):
        plan_download("open", tmp_path, base="ftp://x")
    usage = type("usage", (), {"free": 10, "total": 20, "used": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match="GB are free"):
        get(bucket, tmp_path)
    assert contents(tmp_path) == {}


def test_gated_corpora_say_whom_to_ask(tmp_path: Path, capsys) -> None:
    with pytest.raises(DownloadError, match="BCMI laboratory"):
        plan_download("SEED", tmp_path)
    assert main(["download", "SEED", str(tmp_path / "x")]) == 1
    told = capsys.readouterr().err
    assert "Send the signed licence agreement to the BCMI laboratory" in told
    assert "bcmi.sjtu.edu.cn" in told
    assert not (tmp_path / "x").exists()
    assert main(["download", "SEEDD", str(tmp_path)]) == 1
    assert "Did you mean 'SEED'" in capsys.readouterr().err


def test_the_command(bucket, tmp_path: Path, capsys) -> None:
    words = ["download", "open", str(tmp_path / "x"), "--mirror", bucket.url]
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "nothing was fetched" in shown
    assert not (tmp_path / "x").exists()
    assert main([*words, "--dry-run", "--json", "--subjects", "02"]) == 0
    assert '"subject": "02"' in capsys.readouterr().out
    assert main([*words, "--subjects", "01, 02", "--skip", "derivatives/*"]) == 0
    captured = capsys.readouterr()
    assert "7 files fetched" in captured.out
    assert "affectrum check OPEN" in captured.out
    assert "7 files, " in captured.err
    assert main([*words, "--quiet", "--json"]) == 0
    captured = capsys.readouterr()
    assert '"kept": 7' in captured.out
    assert captured.err == ""


def test_ctrl_c_keeps_what_is_complete_and_the_rest_goes_on(bucket, tmp_path: Path) -> None:
    plan = plan_download("open", tmp_path, base=bucket.url)

    def stop(done: float, total: float, path: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(plan, progress=stop, workers=2)
    there = contents(tmp_path)
    assert len(there) < 8
    assert all(expected(bucket)[path] == content for path, content in there.items())
    report = get(bucket, tmp_path)
    assert report.kept == len(there)
    assert contents(tmp_path) == expected(bucket)
