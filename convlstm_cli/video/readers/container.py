"""What a video file is, found in its container by PyAV without decoding, and which decoder reads it."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from convlstm_cli.errors import InputError
from convlstm_cli.video.opencv import MAX_PIXELS
from convlstm_cli.video.readers.checks import CONVERT, check_pixels, opencv_name
from convlstm_cli.video.readers.extent import is_cut_short
from convlstm_cli.video.readers.headers import WITH_HEAD, SequenceHeader, sequence_header
from convlstm_cli.video.readers.mirrored import is_mirrored

CONTAINERS = (
    "mov,matroska,webm,avi,asf,flv,live_flv,ogg,mpeg,mpegts,mpegvideo,m4v,mxf,gif,apng,rm,dv,wtv,nut,nsv,3g2,"
    "h261,gxf,cine,h263,h264,hevc,vvc,vc1,dirac,cavsvideo,av1,obu,ivf,mjpeg,mjpeg_2000,smjpeg,yuv4mpegpipe,"
    "png_pipe,jpeg_pipe,jpegls_pipe,j2k_pipe,bmp_pipe,tiff_pipe,webp_pipe,gif_pipe,pbm_pipe,pgm_pipe,ppm_pipe,pam_pipe"
)
"""FFmpeg's names of the formats that hold their own frames. It would also open playlists (HLS, DASH, ffconcat, SDP)
under any name, which make it read other files and talk to servers."""
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}

UNDECODED = {"skip_frame": "all"}
"""FFmpeg decodes a picture or more to learn the format of pixels, which takes most of the time of opening a file."""
EIGHT_BITS = {"h264": {"Baseline", "Constrained Baseline", "Main", "Extended", "High"}, "hevc": {"Main"}}
"""Profiles of codecs whose pixels have eight bits and no alpha, so that no picture has to be decoded to know it."""

# fmt: off
MAY_INTERLACE = frozenset({
    "cavs", "cfhd", "dnxhd", "dvvideo", "h264", "hevc", "magicyuv", "mpeg2video", "mpeg4", "prores", "utvideo", "vc1",
    "wmv3",
})
# fmt: on
"""Codecs whose pictures say themselves that they are interlaced. Their container may say nothing, or otherwise."""
WIDE_GAMUT = frozenset({9, 10})
"""The matrices of BT.2020 in table E-5 of ITU-T H.264. OpenCV converts as if they were others."""
MAX_FRAMES = 10**8
MAX_RATE = 10_000.0
"""Frames per second that a container may claim; more are its clock, not its rate."""
ASPECTS = Fraction(1, 8), Fraction(8)
"""Shapes of pixels outside these are damage."""
EVEN = 0.005
"""How far the average rate may be from the base rate, as a share, in a video of even times."""
STILLS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp"})
"""Codecs of pictures that stand beside a video."""
STREAMED = frozenset({"mpeg", "mpegts"})
"""Containers without a head: they declare nothing, and FFmpeg guesses how long they last."""
NO_TIMES = 0x80
"""FFmpeg's mark of a container without times."""


@dataclass(frozen=True)
class ContainerFacts:
    """What the container says about its video stream."""

    container: str
    """FFmpeg's name of the format, such as `matroska,webm`."""
    codec: str
    """FFmpeg's name of the codec that the stream is in, such as `h264`."""
    stream: int
    """Position of the stream among the video streams."""
    streams: int
    """Number of video streams that are no covers."""
    height: int
    width: int
    """Sides of the coded picture; 0 where they are not known before decoding."""
    bits: int
    """Bits of a channel of a pixel; 8 where that is not known."""
    grey: bool
    """Whether pixels have a single channel; False where that is not known."""
    alpha: bool
    interlaced: bool | None
    """None where neither the container nor the head of the stream says so for sure."""
    pixel_aspect: Fraction
    """Width of a pixel over its height."""
    mirrored: bool
    """Whether pictures are to be shown mirrored."""
    wide_gamut: bool
    """Whether colours are those of BT.2020."""
    fps: float | None
    """Mean frames per second."""
    even: bool
    """Whether the mean rate is the base rate, so that all frames are equally far apart."""
    timed: bool
    """Whether frames have times at all; a raw stream has none."""
    reordered: bool
    """Whether times are those of packets in their order of decoding, so that those of frames have to be worked out."""
    tick: Fraction
    """Seconds of the unit of time."""
    cut_short: bool
    """Whether the file ends before its container does."""
    declared_frames: int | None
    """Number of frames that are shown; None where the container does not say or says what cannot be."""


@dataclass(frozen=True)
class Decision:
    """The decoder of a file."""

    decoder: str
    """`OpenCV` or `PyAV`."""
    reasons: tuple[str, ...] = ()
    """Why it is not OpenCV, in clauses whose subject is the video."""


@contextlib.contextmanager
def opened(path: Path, options: Mapping[str, str] = MappingProxyType({})) -> Iterator[InputContainer]:
    """Opens a container, of the known formats and nothing but the file. Raises InputError.

    `options` are FFmpeg's, beside those.
    """
    av.logging.set_level(None)  # FFmpeg's messages would go to the terminal
    name = opencv_name(path)
    try:
        container = av.open(name, options={**OPTIONS, **options}, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        if is_cut_short(path):
            raise InputError(f"{path}: was cut off, and what is left cannot be opened; copy it again.") from error
        raise InputError(f"{path}: is damaged or not a video that can be read; copy it again, or {CONVERT}.") from error
    with container:
        yield container


def probe(path: Path) -> ContainerFacts:
    """What the container of a file says. Raises InputError for a file that holds no video."""
    with opened(path, UNDECODED) as container:
        chosen = _video_stream(container, path)
        context = chosen.stream.codec_context
        codec = chosen.stream.codec.canonical_name
        head = sequence_header(codec, context.extradata or b"")
        certain = context.format is not None or chosen.stream.profile in EIGHT_BITS.get(codec, ())
        if certain and context.height and (head is not None or codec not in WITH_HEAD):
            return _facts(container, chosen, head, path)
    with opened(path) as container:
        return _facts(container, _video_stream(container, path), head, path)


class _Chosen(NamedTuple):
    """A video stream, its position among the video streams, and the number of those that are no covers."""

    stream: VideoStream
    position: int
    streams: int


def _facts(container: InputContainer, chosen: _Chosen, head: SequenceHeader | None, path: Path) -> ContainerFacts:
    stream, context = chosen.stream, chosen.stream.codec_context
    check_pixels(path, context.height, context.width)
    known, codec = context.format, stream.codec.canonical_name
    components = () if known is None else known.components
    name = container.format.name
    fps, base = _rate(stream, name), stream.base_rate
    return ContainerFacts(
        container=name,
        codec=codec,
        stream=chosen.position,
        streams=chosen.streams,
        height=context.height,
        width=context.width,
        bits=max((component.bits for component in components), default=8),
        grey=len(components) == 1,
        alpha=any(component.is_alpha for component in components)
        or (known is not None and known.has_palette)
        or stream.metadata.get("alpha_mode") == "1",
        interlaced=_interlaced(context.field_order, codec, head),
        pixel_aspect=_pixel_aspect(stream.sample_aspect_ratio or (None if head is None else head.pixel_aspect)),
        mirrored=is_mirrored(path),
        wide_gamut=context.colorspace in WIDE_GAMUT or (head is not None and head.matrix in WIDE_GAMUT),
        fps=fps,
        even=fps is not None and base is not None and abs(fps / float(base) - 1) < EVEN,
        timed=not int(container.format.flags) & NO_TIMES,
        reordered=name == "avi" and bool(context.has_b_frames),
        tick=stream.time_base or Fraction(1, 1000),
        cut_short=is_cut_short(path),
        declared_frames=_declared_frames(container, stream, fps, path.stat().st_size),
    )


def declared_range(facts: ContainerFacts) -> tuple[float, float] | None:
    """Least and largest value of pixels as `Picture` gives them; None for bytes alone, and where data have 16 bits.

    Pixels of 8 bits are floats where some are transparent.
    """
    if facts.bits <= 8:
        return (0.0, 255.0) if facts.alpha else None
    if facts.grey and facts.bits >= 16:
        return None
    return 0.0, float(2**facts.bits - 1 if facts.grey else 2**16 - 1)


def decide(facts: ContainerFacts) -> Decision:
    """OpenCV, except for what it gets wrong or cannot read: then PyAV, and why."""
    reasons = {
        "is interlaced": facts.interlaced is True,
        "may be interlaced": facts.interlaced is None and facts.codec in MAY_INTERLACE,
        f"has {facts.bits} bits a channel": facts.bits > 8,
        "may have transparent pixels": facts.alpha,
        "is AV1": facts.codec == "av1",
        "has pixels that are not square": facts.pixel_aspect != 1,
        "is mirrored": facts.mirrored,
        "has colours of BT.2020": facts.wide_gamut,
        "has an odd number of rows": facts.height % 2 == 1,  # OpenCV 4.12 gives wrong colours then
        "has no times": not facts.timed,
        "has times of packets, not of frames": facts.timed and (facts.reordered or facts.container == "mpeg"),
        "has uneven times": facts.timed and not facts.even,
        "lacks its end": facts.cut_short,
        "is one of several video streams": facts.streams > 1,
        "is a picture": facts.container.endswith("_pipe"),  # which OpenCV 4.12 reads twice
    }
    given = tuple(reason for reason, holds in reasons.items() if holds)
    return Decision("PyAV", given) if given else Decision("OpenCV")


def _video_stream(container: InputContainer, path: Path) -> _Chosen:
    """The first video stream that is no picture beside a moving one. Raises InputError where there is none."""
    streams = list(enumerate(container.streams.video))
    moving = [(n, stream) for n, stream in streams if Disposition.attached_pic not in Disposition(stream.disposition)]
    known = [(n, stream) for n, stream in moving if stream.codec_context is not None]
    # Matroska and some MP4 do not mark a cover as one.
    for position, stream in [each for each in known if not _is_still(each[1])] or known:
        return _Chosen(stream, position, len(moving))
    if moving:
        raise InputError(f"{path}: is in a codec that is not known here, or is damaged; {CONVERT}.")
    if container.streams.audio:
        what = "sound and its cover" if streams else "sound"
        raise InputError(f"{path}: holds {what}, no video; give a file with moving pictures.")
    raise InputError(f"{path}: is damaged or holds no video; copy or download it again.")


def _is_still(stream: VideoStream) -> bool:
    """Whether a stream is one picture, as far as the container says."""
    return stream.frames == 1 or (not stream.frames and stream.codec.canonical_name in STILLS)


def _interlaced(field_order: int, codec: str, head: SequenceHeader | None) -> bool | None:
    """From FFmpeg's AVFieldOrder: 0 is not known, 1 progressive, more the order of two fields."""
    if head is not None and head.progressive:
        return False
    if field_order > 1:
        return True
    return None if codec in MAY_INTERLACE else False


def _pixel_aspect(aspect: Fraction | None) -> Fraction:
    return aspect if aspect and ASPECTS[0] <= aspect <= ASPECTS[1] else Fraction(1)


def _rate(stream: VideoStream, container: str) -> float | None:
    """Mean frames per second; None where the container has none, for which FFmpeg makes up its clock."""
    rate = stream.guessed_rate if container == "dv" else stream.average_rate  # DV has a clock for its average
    return float(rate) if rate and 0 < rate <= MAX_RATE else None


def _declared_frames(container: InputContainer, stream: VideoStream, fps: float | None, size: int) -> int | None:
    """The frames that are shown, as far as the container says: fewer than packets where an edit list hides some.

    `size` is that of the file in bytes: each frame takes one at least.
    """
    if container.format.name in STREAMED:
        return None
    seconds = _seconds(container, stream)
    lasting = None if seconds is None or fps is None else seconds * fps
    declared: float | None = stream.frames or None
    if declared is None or (lasting is not None and container.format.name.startswith("mov")):
        declared = lasting if declared is None else min(declared, lasting or declared)
    if declared is None or not math.isfinite(declared) or not 0.5 <= declared <= min(MAX_FRAMES, size):
        return None
    return round(declared)


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How long the video stream lasts."""
    # First, since FFmpeg may take the length of the sound for that of a stream.
    if written := stream.metadata.get("DURATION"):  # of one stream, as Matroska has it: 00:00:08.000000000
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = map(float, written.split(":"))
            return 3600 * hours + 60 * minutes + seconds
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:  # sound may last longer
        return container.duration / av.time_base
    return None
