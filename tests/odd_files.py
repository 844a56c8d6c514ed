"""Odd inputs: files and folders that are broken, strange, hostile, or only look it. `make` writes them all."""

import io
import json
import os
import shutil
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from helpers import moving_square
from PIL import Image

from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.writers import open_writer

FRAMES = 12
HEIGHT, WIDTH = 32, 48

Expected = Literal["usable", "refused", "either"]


@dataclass(frozen=True)
class Odd:
    """One input."""

    path: Path
    what: str
    expected: Expected
    """`either` where it depends on the decoder whether, and how many, frames are left."""
    frames: int = FRAMES
    """Number of frames of a usable input."""
    size: tuple[int, int] = (HEIGHT, WIDTH)
    """Height and width of its frames."""
    named: str = ""
    """What the error message has to name beside the input."""


def make(folder: Path) -> list[Odd]:
    """Writes every odd input into a folder of its own below `folder`."""
    makers: tuple[Callable[[Path], Iterator[Odd]], ...] = (
        _damaged_containers,
        _not_videos,
        _not_files,
        _odd_streams,
        _odd_names,
        _image_folders,
        _stills,
        _arrays,
        _too_large,
        _playlists,
    )
    found = []
    for maker in makers:
        below = folder / maker.__name__.strip("_")
        below.mkdir(parents=True)
        found += list(maker(below))
    return found


def _frames(
    count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH, channels: int = 3
) -> list[npt.NDArray[np.uint8]]:
    square = moving_square(count, seed=1, size=max(height, width, 9), channels=channels)
    brighter = np.arange(count, dtype=np.uint8)[:, None, None, None]  # so that no two are alike
    return list(np.minimum(square, 200)[:, :height, :width] + 3 * brighter)


def _video(path: Path, kind: str, count: int = FRAMES, **shape: int) -> Path:
    """A video of one of the tool's formats, or `avi`, at exactly this path."""
    made = path.parent / f"made{'.avi' if kind == 'avi' else OUTPUT_FORMATS[kind].suffix}"
    if kind == "avi":
        video = cv2.VideoWriter(str(made), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (WIDTH, HEIGHT))
        for frame in _frames(count):
            video.write(frame)
        video.release()
    else:
        with open_writer(made, kind, 10.0) as writer:
            for frame in _frames(count, **shape):
                writer.write(frame)
    return made.rename(path)


def _image(path: Path, pixels: npt.NDArray[np.generic]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def _images(
    folder: Path, count: int = FRAMES, numbers: Callable[[int], int] = lambda number: number, **shape: int
) -> Path:
    folder.mkdir()
    for number, frame in enumerate(_frames(count, **shape)):
        _image(folder / f"frame{numbers(number)}.png", frame)
    return folder


def _damaged_containers(folder: Path) -> Iterator[Odd]:
    for kind, suffix in (("webm", "webm"), ("mp4", "mp4"), ("lossless", "mkv"), ("gif", "gif"), ("avi", "avi")):
        whole = _video(folder / f"whole.{suffix}", kind)
        content = whole.read_bytes()
        yield Odd(whole, f"{suffix} as it should be", "usable")
        cuts = {"header": 48, "quarter": len(content) // 4, "half": len(content) // 2, "end": len(content) - 9}
        for name, length in cuts.items():
            path = folder / f"cut-{name}.{suffix}"
            path.write_bytes(content[:length])
            yield Odd(path, f"{suffix} cut off at {name}", "refused" if name == "header" else "either")
        for seed in (1, 2):
            random = np.random.default_rng(seed)
            damaged = bytearray(content)
            for place in random.integers(len(content) // 20, len(content), 12):
                damaged[place] ^= int(random.integers(1, 256))
            path = folder / f"flipped-{seed}.{suffix}"
            path.write_bytes(damaged)
            yield Odd(path, f"{suffix} with flipped bytes", "either")
    for name, kind, words in (("codec.mkv", "lossless", b"V_FFV1"), ("codec.avi", "avi", b"MJPG")):
        path = _video(folder / name, kind)
        content = path.read_bytes()
        assert words in content
        path.write_bytes(content.replace(words, b"V_QQQ9"[: len(words)]))
        yield Odd(path, "a codec that nobody knows", "refused")


def _not_videos(folder: Path) -> Iterator[Odd]:
    picture = io.BytesIO()
    Image.fromarray(_frames(1)[0]).save(picture, "PNG")
    contents = {
        "empty.mp4": b"",
        "empty.npy": b"",
        "empty.png": b"",
        "text.mp4": b"These are words, not frames.\n" * 50,
        "ansi.mp4": b"\x1b[31mred\x1b[0m words\r\n" * 200,
        "data.mp4": json.dumps({"frames": list(range(500))}).encode(),
        "page.mp4": b"<!DOCTYPE html><html><body><video src='file:///etc/passwd'></video></body></html>",
        "noise.mp4": np.random.default_rng(0).bytes(20_000),
        "noise.avi": np.random.default_rng(1).bytes(20_000),
        "zeros.mkv": bytes(20_000),
        "text.png": b"no picture",
        "text.npy": b"no array",
        "pickle.npy": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield Odd(folder / name, "no video at all", "refused")
    (folder / "picture.mp4").write_bytes(picture.getvalue())
    yield Odd(folder / "picture.mp4", "an image named as a video", "usable", frames=1)
    (folder / "picture.npy").write_bytes(picture.getvalue())
    yield Odd(folder / "picture.npy", "an image named as an array", "refused")
    np.save(folder / "array.npy", np.stack(_frames()))
    yield Odd((folder / "array.npy").rename(folder / "array.mp4"), "an array named as a video", "refused")
    yield Odd(_video(folder / "video.npy", "webm"), "a video named as an array", "refused")
    yield Odd(_video(folder / "video.png", "webm"), "a video named as an image", "refused")
    yield Odd(_video(folder / "other.mp4", "avi"), "an AVI named .mp4", "usable")
    with (folder / "zip.npy").open("wb") as file:
        np.savez(file, np.stack(_frames()))
    yield Odd(folder / "zip.npy", "an .npz named .npy", "refused")


def _not_files(folder: Path) -> Iterator[Odd]:
    (folder / "folder.mp4").mkdir()
    yield Odd(folder / "folder.mp4", "an empty folder named as a video", "refused")
    yield Odd(_images(folder / "images.mp4"), "a folder of images named as a video", "usable")
    (folder / "dangling.mp4").symlink_to(folder / "gone.mp4")
    yield Odd(folder / "dangling.mp4", "a link to nothing", "refused")
    (folder / "loop.mp4").symlink_to(folder / "pool.mp4")
    (folder / "pool.mp4").symlink_to(folder / "loop.mp4")
    yield Odd(folder / "loop.mp4", "links that lead to each other", "refused")
    target = _video(folder / "target.webm", "webm")
    (folder / "link.mp4").symlink_to(target)
    yield Odd(folder / "link.mp4", "a link to a video", "usable")
    yield Odd(folder / "missing.mp4", "nothing", "refused")
    yield Odd(folder / "missing.mp4" / "below.mp4", "nothing below nothing", "refused")
    yield Odd(target / "below.mp4", "a path that goes on behind a file", "refused")
    for name in ("fifo.mp4", "fifo.npy", "fifo.png"):
        os.mkfifo(folder / name)
        yield Odd(folder / name, "a FIFO that nobody writes to", "refused")
    # An address of a socket has about 100 bytes, so it is bound from within.
    before = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.mp4")
    finally:
        os.chdir(before)
    yield Odd(folder / "socket.mp4", "a socket", "refused")
    (folder / "zero.mp4").symlink_to("/dev/zero")
    yield Odd(folder / "zero.mp4", "a device that never ends", "refused")


def _odd_streams(folder: Path) -> Iterator[Odd]:
    yield Odd(_video(folder / "one.webm", "webm", 1), "a single frame", "usable", frames=1)
    yield Odd(_video(folder / "two.webm", "webm", 2), "two frames", "usable", frames=2)
    odd = _video(folder / "odd.gif", "gif", height=33, width=47)  # the encoders of videos make sides even
    yield Odd(odd, "odd sides", "usable", size=(33, 47))
    yield Odd(_video(folder / "grey.mkv", "lossless", channels=1), "grey", "usable")
    yield Odd(_video(folder / "narrow.mkv", "lossless", height=64, width=2), "two columns", "usable", size=(64, 2))
    with (folder / "sizes.mjpeg").open("wb") as file:
        for number, frame in enumerate(_frames()):
            Image.fromarray(frame[: HEIGHT - 8 * (number >= 6)]).save(file, "JPEG")
    yield Odd(folder / "sizes.mjpeg", "another size from frame 7 on", "refused")
    first, *others = map(Image.fromarray, _frames())
    times = [20, 400] * (FRAMES // 2)
    first.save(folder / "times.gif", save_all=True, append_images=others, duration=times)
    yield Odd(folder / "times.gif", "frames 20 and 400 ms apart in turn", "either")  # no two steps are even
    first.save(folder / "single.gif")
    yield Odd(folder / "single.gif", "a GIF of one frame", "usable", frames=1)
    first.save(folder / "animated.webp", save_all=True, append_images=others)
    yield Odd(folder / "animated.webp", "an animated WebP", "either")  # equal frames are written once
    first.save(folder / "animated.png", save_all=True, append_images=others)
    yield Odd(folder / "animated.png", "an animated PNG", "either")
    turned = _video(folder / "turned.mp4", "mp4")
    content = bytearray(turned.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    turned.write_bytes(content)
    yield Odd(turned, "to be turned by a quarter", "usable", size=(WIDTH, HEIGHT))


def _odd_names(folder: Path) -> Iterator[Odd]:
    names = (
        "ünïcödé 视频.mkv",
        "with space.mkv",
        "percent%03d.mkv",
        "percent%s%n.mkv",
        "-dash.mkv",
        "--help",
        "new\nline.mkv",
        "colour\x1b[31m.mkv",
        "glob[a-z]*?.mkv",
        "[bold]markup[red].mkv",
        "concat:a|b.mp4",
        "quote'\"`$(touch x).mkv",
        ".hidden.mkv",
        "CAPITALS.MKV",
        "dots..mkv",
        f"{'long' * 60}.mkv",
    )
    source = _video(folder / "source", "lossless")
    for name in names:
        shutil.copy(source, folder / name)
        yield Odd(folder / name, "an odd name", "usable")
    np.save(folder / "array.npy", np.stack(_frames()))
    try:
        path = folder / os.fsdecode(b"latin1-\xe4\xff.mkv")
        shutil.copy(source, path)
    except OSError:  # macOS takes no such names
        return
    yield Odd(path, "a name that is not UTF-8", "refused", named="UTF-8")
    path = path.with_suffix(".png")
    _image(folder / "picture.png", _frames(1)[0]).rename(path)
    yield Odd(path, "an image with a name that is not UTF-8", "usable", frames=1)
    path = path.with_suffix(".npy")
    shutil.copy(folder / "array.npy", path)
    yield Odd(path, "an array with a name that is not UTF-8", "usable")


def _image_folders(folder: Path) -> Iterator[Odd]:
    yield Odd(_images(folder / "gaps", numbers=lambda n: n * n), "numbers with gaps, not padded", "usable")
    mixed = _images(folder / "mixed-sizes")
    _image(mixed / "frame7.png", _frames(1, height=20)[0])
    yield Odd(mixed, "one image of another size", "refused", named="frame7.png")
    junk = _images(folder / "junk")
    for name in ("Thumbs.db", ".DS_Store", "._frame3.png", "notes.txt", "frame3.png.part", "checksums.json"):
        (junk / name).write_bytes(b"junk")
    yield Odd(junk, "other files between the images", "usable")
    corrupt = _images(folder / "corrupt")
    for name in ("frame5.png", "frame6.png"):
        (corrupt / name).write_bytes((corrupt / name).read_bytes()[:60])
    yield Odd(corrupt, "damaged images", "refused", named="frame5.png")
    empty = _images(folder / "empty")
    for name in ("frame5.png", "frame6.png"):
        (empty / name).write_bytes(b"")
    yield Odd(empty, "empty images", "refused", named="frame5.png")
    colours = _images(folder / "colours")
    _image(colours / "frame4.png", _frames(1)[0][:, :, 0])
    yield Odd(colours, "grey and colour mixed", "usable")
    deep = folder / "deep"
    deep.mkdir()
    for number, frame in enumerate(_frames(channels=1)):
        cv2.imwrite(str(deep / f"{number}.png"), frame[:, :, 0].astype(np.uint16) * 257)
    yield Odd(deep, "16 bits", "either")  # an 8-bit run refuses them
    alpha = folder / "alpha"
    alpha.mkdir()
    for number, frame in enumerate(_frames()):
        _image(alpha / f"{number}.png", np.dstack((frame, frame[:, :, :1])))
    yield Odd(alpha, "with alpha", "usable")
    turned = folder / "turned"
    turned.mkdir()
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by a quarter
    for number, frame in enumerate(_frames()):
        Image.fromarray(frame).save(turned / f"{number}.jpg", exif=exif)
    yield Odd(turned, "turned by EXIF", "usable", size=(WIDTH, HEIGHT))
    pipe = _images(folder / "pipe")
    os.mkfifo(pipe / "frame99.png")
    yield Odd(pipe, "a FIFO named as an image", "refused", named="frame99.png")
    nested = _images(folder / "nested")
    (nested / "frame99.png").mkdir()
    yield Odd(nested, "a folder named as an image", "refused", named="frame99.png")
    dangling = _images(folder / "dangling")
    (dangling / "frame99.png").symlink_to("nowhere.png")
    yield Odd(dangling, "a link to nothing among images", "refused", named="frame99.png")


def _stills(folder: Path) -> Iterator[Odd]:
    pages = [Image.fromarray(frame) for frame in _frames(3)]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    yield Odd(folder / "pages.tif", "three pages", "usable", frames=3)
    pages[0].save(folder / "one.tif")
    yield Odd(folder / "one.tif", "a single image", "usable", frames=1)
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")
    yield Odd(folder / "cut.jpg", "a JPEG that ends in its header", "refused")


def _arrays(folder: Path) -> Iterator[Odd]:
    frames = np.stack(_frames())
    unit = frames / np.float32(255)
    lone = {"nan": np.nan, "inf": np.inf, "minus": -0.1, "large": 255.0}
    others: dict[str, npt.NDArray[np.generic]] = {
        "int64": frames.astype(np.int64),
        "big-endian": (frames.astype(np.uint16) * 257).astype(">u2"),
        "half": unit.astype(np.float16),
        "bool": frames > 99,
        **{name: np.where(np.arange(FRAMES)[:, None, None, None] == 9, value, unit) for name, value in lone.items()},
    }
    for name, array in others.items():
        np.save(folder / f"{name}.npy", array)
        yield Odd(
            folder / f"{name}.npy", "values or channels of no 8-bit picture", "either"
        )  # a grey 8-bit run refuses them
    wrong: dict[str, npt.NDArray[np.generic]] = {
        "no-frames": frames[:0],
        "no-columns": frames[:, :, :0],
        "complex": unit.astype(np.complex64),
        "text": np.full((4, 8, 8), "x"),
        "time": frames.astype("datetime64[s]"),
        "fields": np.zeros((4, 8, 8), [("a", "u1"), ("b", "f4")]),
    }
    for name, array in wrong.items():
        np.save(folder / f"{name}.npy", array)
        yield Odd(folder / f"{name}.npy", "an array that is no video", "refused")
    np.save(folder / "object.npy", np.array([_Planted(folder / "trapped")], dtype=object), allow_pickle=True)
    yield Odd(folder / "object.npy", "a pickle that makes a folder", "refused")
    right = {
        "fortran": np.asfortranarray(frames),
        "grey": frames[..., 0],
        "deep": frames[None],
        "channels-second": frames.transpose(0, 3, 1, 2),
    }
    for name, array in right.items():
        np.save(folder / f"{name}.npy", array)
        yield Odd(folder / f"{name}.npy", "an unusual array", "usable")
    np.save(folder / "flat.npy", frames[0, :, :, 0])
    yield Odd(folder / "flat.npy", "an array of one frame", "usable", frames=1)
    for height, width in ((1, 1), (2, 3), (1, 64)):
        path = folder / f"{height}x{width}.npy"
        np.save(path, np.stack(_frames(height=height, width=width)))
        yield Odd(path, "tiny frames", "usable", size=(height, width))
    claims = {
        "terabytes": (10**6, 10**6, 10**6),
        "overflow": (2**32, 2**32, 1),
        "astronomic": (10**30, 5, 5),
        "negative": (-1, 5, 5),
        "cut": (FRAMES, HEIGHT, WIDTH),
    }
    for name, shape in claims.items():
        with (folder / f"{name}.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.write(bytes(5000))
        yield Odd(folder / f"{name}.npy", "a header that claims too much", "refused")
    for name, text in (
        ("nested", b"(" * 9000),
        ("tokens", b"{'a': \n   ''' (\n  0x0L"),
        ("call", b"__import__('os').abort()"),
    ):
        (folder / f"{name}.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(99))
        yield Odd(folder / f"{name}.npy", "a header that is no literal", "refused")


def _too_large(folder: Path) -> Iterator[Odd]:
    for suffix, content in _bombs().items():
        path = folder / f"bomb.{suffix}"
        path.write_bytes(content)
        yield Odd(path, "claims 60,000 x 60,000 pixels", "refused")
    sequence = folder / "bombs"
    sequence.mkdir()
    for number in range(3):
        shutil.copy(folder / "bomb.png", sequence / f"{number}.png")
    yield Odd(sequence, "a folder of such images", "refused", named="0.png")
    sparse = folder / "sparse.png"
    with sparse.open("wb") as file:
        file.truncate(2**40)
    yield Odd(sparse, "an image file of a terabyte", "refused")
    array = folder / "sparse.npy"
    with array.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (9, 60_000, 60_000)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 9 * 60_000**2)
    yield Odd(array, "an array of huge frames that is all there", "refused", named="pixels")


def _bombs() -> dict[str, bytes]:
    """Images whose headers claim far more than they hold."""
    side = 60_000
    small = Image.fromarray(_frames(1)[0])

    def encoded(kind: str, **options: object) -> bytearray:
        buffer = io.BytesIO()
        small.save(buffer, kind, **options)
        return bytearray(buffer.getvalue())

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(10**6)))
    jpeg, bitmap, gif, webp = encoded("JPEG"), encoded("BMP"), encoded("GIF"), encoded("WEBP", lossless=True)
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    bitmap[18:26] = struct.pack("<ii", side, side)
    gif[6:10] = struct.pack("<HH", side, side)
    at = webp.index(b"VP8L") + 9
    webp[at : at + 4] = struct.pack("<I", struct.unpack("<I", webp[at : at + 4])[0] | 0xFFFFFFF)  # 16,384 at most
    return {
        "png": b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""),
        "jpg": bytes(jpeg),
        "bmp": bytes(bitmap),
        "gif": bytes(gif),
        "webp": bytes(webp),
        "tif": bytes(_claiming(encoded("TIFF"), side)),
        "ppm": b"P6\n60000 60000\n255\n" + bytes(999),
        "y4m": b"YUV4MPEG2 W16000 H16000 F10:1 C420\n" + b"FRAME\n" * 9,
    }


def _claiming(tiff: bytearray, side: int) -> bytearray:
    """A TIFF with another width, height and rows of its strip (tags 256, 257 and 278)."""
    (directory,) = struct.unpack("<I", tiff[4:8])
    (entries,) = struct.unpack("<H", tiff[directory : directory + 2])
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        (tag,) = struct.unpack("<H", tiff[entry : entry + 2])
        if tag in (256, 257, 278):
            tiff[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, side)
    return tiff


def _playlists(folder: Path) -> Iterator[Odd]:
    """Texts that make FFmpeg open what they name; beside them lies a video that they could reach."""
    inner = _video(folder / "inner.avi", "avi")
    shutil.copy(inner, folder / "inner.ts")
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT5S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>inner.avi</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    )
    texts = {
        "hls.mp4": hls.format("inner.ts"),
        "hls.m3u8": hls.format("inner.ts"),
        "passwd.m3u8": hls.format("file:///etc/passwd"),
        "ffconcat.mp4": "ffconcat version 1.0\nfile inner.avi\n",
        "ffconcat-all.mp4": f"ffconcat version 1.0\nfile '{inner}'\n",
        "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n",
        "dash.mp4": dash,
        "dash.mpd": dash,
        "asx.wmv": '<asx version="3.0"><entry><ref href="inner.avi"/></entry></asx>',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        yield Odd(folder / name, "a playlist", "refused")


class _Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)
