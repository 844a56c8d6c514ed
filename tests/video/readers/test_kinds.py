import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from convlstm_cli.errors import InputError
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import index
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.kinds import KINDS, unread_kinds


def contents() -> dict[str, bytes]:
    """Names of files and their content, by what the message has to name."""
    packed, tape = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("frame.txt", "x" * 100)
    with tarfile.open(fileobj=tape, mode="w") as archive_of_tape:
        archive_of_tape.addfile(tarfile.TarInfo("frame.txt"))
    return {
        "a.zip zip archive": packed.getvalue(),
        "a.mp4 zip archive": packed.getvalue(),
        "a.tar tar archive": tape.getvalue(),
        "a.mp4.gz gzip": gzip.compress(b"x" * 99, mtime=0),
        "a.avi HDF5": b"\x89HDF\r\n\x1a\n" + bytes(600),
        "b.avi NetCDF": b"CDF\x01" + bytes(600),
        "a.avi DICOM": bytes(128) + b"DICM" + bytes(600),
        "a.fits FITS": b"SIMPLE  =                    T".ljust(600),
        "a.mat Matlab": b"MATLAB 5.0 MAT-file".ljust(600),
        "a.pdf PDF": b"%PDF-1.7\n" + bytes(600),
        "a.parquet Parquet": b"PAR1" + bytes(600),
        "a.mkv playlist": b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1/a.ts\n",
        "a.mpd playlist": b"<?xml version='1.0'?><MPD></MPD>",
        "a.mov text": b"These are words, not frames.\n" * 9,
        "a.mp4 Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "a.png MP4": bytes(4) + b"ftypisom" + bytes(600),
        "a.tif Matroska": b"\x1aE\xdf\xa3" + bytes(600),
        "a.npy AVI": b"RIFF" + bytes(4) + b"AVI LIST" + bytes(600),
        "a.apng GIF": b"GIF89a" + bytes(600),
        "a.mp3 sound": b"ID3\x03" + bytes(600),
    }


@pytest.mark.parametrize(("name", "content"), contents().items())
def test_a_file_that_is_not_read_is_named_as_what_it_is(tmp_path: Path, name: str, content: bytes) -> None:
    file, named = name.split(" ", 1)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=named) as caught:
        open_video(tmp_path / file)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / file}: is ")
    assert not set(message.split()) & {"ffmpeg", "damaged"}


def test_another_name_does_not_help_a_damaged_video(tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(bytes(4) + b"ftypisom" + bytes(600))
    with pytest.raises(InputError, match=r"a\.mov: is damaged"):
        open_video(tmp_path / "a.mov")


def test_a_folder_of_such_files_is_named(tmp_path: Path) -> None:
    for number in range(24):
        (tmp_path / f"star{number}.fits").write_bytes(b"SIMPLE  =")
    (tmp_path / "notes.txt").write_text("x")
    for call in (open_video, lambda path: index([path], FrameGeometry(16, 16))):
        with pytest.raises(InputError, match=r"holds 24 FITS files \(\.fits\), which are not read; save"):
            call(tmp_path)


def test_kinds_are_counted_by_suffix() -> None:
    assert unread_kinds(map(Path, ("a.tif.gz", "a.grib", "b.grb2", "c.zip", "d.txt"))).startswith(
        "2 GRIB files (.grb2, .grib) and a zip archive, which are not read; save"
    )
    assert not unread_kinds([Path("a.txt"), Path("b.mp4")])


def test_no_two_kinds_claim_a_suffix() -> None:
    suffixes = [suffix for kind in KINDS for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))
