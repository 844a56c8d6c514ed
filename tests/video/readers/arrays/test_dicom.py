import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from video_helpers import few, frames_by, read

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.dicom import WHITE_IS_LEAST, DicomFile
from convlstm_cli.video.search import find_videos


def save(path: Path, frames: npt.NDArray[np.integer], **attributes: object) -> Path:
    """A DICOM file of frames (T, H, W, C)."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    file.NumberOfFrames, file.Rows, file.Columns, file.SamplesPerPixel = frames.shape
    file.PhotometricInterpretation = "RGB" if frames.shape[3] == 3 else "MONOCHROME2"
    file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = 8 * frames.itemsize
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(frames.dtype.kind == "i")
    file.PixelData = frames.tobytes()
    for name, value in attributes.items():
        setattr(file, name, value)
    file.save_as(path)
    return path


@few
@given(st.sampled_from(["u1", "u2", "i2"]), st.sampled_from([1, 3]), st.integers(1, 4))
def test_every_type_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, kind: str, channels: int, count: int
) -> None:
    if channels == 3:
        kind = "u1"
    frames = np.random.default_rng(0).integers(0, 256, (count, 8, 6, channels)).astype(kind)
    path = save(tmp_path_factory.mktemp("dicom") / "a.dcm", frames, FrameTime="40")
    found = list(frames_by(path, DicomFile))
    np.testing.assert_array_equal([frame.pixels for frame in found], frames)
    assert [frame.time for frame in found] == ([0.04 * number for number in range(count)] if count > 1 else [None])


def test_the_scale_of_the_modality(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 3000, (3, 8, 6, 1)).astype(np.int16)
    frames[:, 0, 0] = -2000
    scale = {"RescaleSlope": "2", "RescaleIntercept": "-1024", "RescaleType": "HU", "PixelPaddingValue": -2000}
    path = save(tmp_path / "a.dcm", frames, **scale)
    (first, *_) = (frame.pixels for frame in frames_by(path, DicomFile))
    assert np.isnan(first[0, 0, 0])
    np.testing.assert_array_equal(first[1:], frames[0, 1:] * 2.0 - 1024)
    assert DicomFile(path, path).stored("").unit == "HU"


def test_white_that_is_the_least_number_is_noted(tmp_path: Path) -> None:
    frames = np.arange(96, dtype=np.uint8).reshape(2, 8, 6, 1)
    path = save(tmp_path / "a.dcm", frames, PhotometricInterpretation="MONOCHROME1")
    with open_video(path) as video:
        np.testing.assert_array_equal(list(video), frames)
        assert video.notes == [WHITE_IS_LEAST]


def test_a_series_is_in_the_order_of_its_instance_numbers(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 8, 6, 1), np.uint8)
    for number, frame in enumerate(frames):
        save(tmp_path / f"IM{(number * 5) % 6}.dcm", frame[None], InstanceNumber=number + 1)
    assert [each.path for each in find_videos([tmp_path]).videos] == [tmp_path]
    np.testing.assert_array_equal(read(tmp_path), frames)


def test_damage_and_the_missing_library_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.dcm", np.zeros((9, 30, 30, 1), np.uint8))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match=r"a\.dcm: .*damaged"):
        read(path)
    path.write_bytes(b"x" * 300)
    with pytest.raises(InputError, match=r"a\.dcm: is damaged or not a DICOM file"):
        open_video(path)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DependencyError, match=r"`pip install 'convlstm\[dicom\]'`"):
        open_video(path)
