"""Frames of a video file by PyAV: every codec and kind of picture, past damage, upright and with square pixels."""

import contextlib
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from convlstm_cli.video.readers.checks import TRANSPARENT, changed_size
from convlstm_cli.video.readers.container import UNDECODED, ContainerFacts, opened
from convlstm_cli.video.readers.damage import Ledger
from convlstm_cli.video.readers.picture import Picture
from convlstm_cli.video.readers.resized import MAY_CHANGE, resized
from convlstm_cli.video.readers.stop import Halt, Stop
from convlstm_cli.video.readers.video_reader import TimedFrame

MOST_FAILURES = 100
"""Times in a row that a container fails to give a packet, after which it is at its end."""
MOST_SILENT = 50_000
"""Packets in a row without a frame, after which nothing more is expected."""
MARKED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf", "flv", "mxf", "nut"})
"""Containers that mark a packet as corrupt where the picture is cut, and nowhere else."""
EARLY = 64
"""Packets among which the first picture that is shown comes; codecs reorder 16 at most."""
JUMP = Fraction(1, 2)
"""Seconds by which times go back where another recording begins. Smaller steps back are damage."""
FRAME_THREADS = 0x1000
"""FFmpeg's mark of a decoder whose threads take a frame each."""
DEINTERLACED = "it is deinterlaced: each two fields are one frame"
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these drop alpha."""


def pyav_frames(
    path: Path, facts: ContainerFacts, notes: list[str], stop: Stop | None = None
) -> Generator[TimedFrame, None, None]:
    """The frames that can be decoded, those behind `stop` if it is given; lost ones become a note at the end.

    After a failure, frames up to the next that is whole in itself are lost too: they are drawn over broken ones.
    """
    holes = facts.alpha and _is_transparent(path, facts)
    picture, ledger, clock = Picture(path, facts, holes=holes), Ledger(), _Clock(facts, stop)
    if holes:
        notes.append(TRANSPARENT)
    # A failure at the end takes with it the frames that other threads have ready, so one thread tries again from there.
    for threads in (0, 1):
        done = stop if not ledger.frames else Stop(ledger.frames[0] if stop is None else stop.first, ledger.frames[-1])
        with _packets_from(path, facts, done) as (stream, packets):
            decoder = _decoder(stream, facts, threads)
            frames = _intact(packets, decoder, facts, ledger, done)
            if facts.reordered:
                frames = _in_order(frames)
            upright = _progressive(frames, facts.tick, notes) if facts.interlaced is not False else frames
            for frame in upright:
                pixels, time = picture.upright(frame), clock.seconds(frame)
                del frame  # so that the decoder has its memory back while the consumer works
                yield TimedFrame(pixels, time)
        if not ledger.failed_at_end or not facts.timed or facts.reordered:  # without times, there is no place to go on
            break
    notes.extend(picture.notes)
    if (note := ledger.note(facts, stop)) is not None:
        notes.append(note)


def _is_transparent(path: Path, facts: ContainerFacts) -> bool:
    """Whether a video has wholly transparent pixels. Decodes it up to the first of them."""
    picture = Picture(path, facts)
    with _packets_from(path, facts, None) as (stream, packets):
        frames = _intact(packets, _decoder(stream, facts, 0), facts, Ledger(), None)
        return any(picture.is_transparent(frame) for frame in frames)


def after_opencv(path: Path, facts: ContainerFacts, notes: list[str], halt: Halt) -> Generator[TimedFrame, None, None]:
    """The frames that OpenCV left behind where it stopped; none, found without decoding, where it was at the end.

    Raises InputError where pictures change their size, which OpenCV scales to the first.
    """
    if facts.codec in MAY_CHANGE:
        with opened(path, UNDECODED) as container:
            stream = container.streams.video[facts.stream]
            shown = (packet for packet in _packets(container, stream) if _shows(packet, facts))
            if (other := resized(stream, facts.codec, shown)) is not None:
                raise changed_size(path, other.first, other.now, other.number)
    if halt.backwards:  # there is no place to seek to
        yield from islice(pyav_frames(path, facts, notes), halt.frames, None)
        return
    with opened(path, UNDECODED) as container:
        early = islice(_packets(container, container.streams.video[facts.stream]), EARLY)
        start = min((packet.pts for packet in early if packet.pts is not None and _shows(packet, facts)), default=None)
    if start is None:
        return
    stop = Stop(*(start + round(seconds / facts.tick) for seconds in (halt.first, halt.last)))
    with _packets_from(path, facts, stop) as (_, packets):
        left = any(packet.pts is not None and packet.pts > stop.last and _shows(packet, facts) for packet in packets)
    if left:
        yield from pyav_frames(path, facts, notes, stop)


class _Clock:
    """Seconds from the first frame to each."""

    def __init__(self, facts: ContainerFacts, stop: Stop | None) -> None:
        self._facts = facts
        self._first = None if stop is None else stop.first * facts.tick
        self._last = None if stop is None else stop.last * facts.tick
        self._step = 1 / Fraction(facts.fps) if facts.fps else facts.tick

    def seconds(self, frame: VideoFrame) -> float | None:
        """The time of a frame, which is after that of the one before unless it goes back by `JUMP`."""
        if not self._facts.timed:
            return None
        tick = frame.time_base or self._facts.tick  # frames that a decoder gives at the end come without
        now = None if frame.pts is None else frame.pts * tick
        if self._last is not None and (now is None or self._last - JUMP < now <= self._last):
            now = self._last + self._step
        self._last = Fraction(0) if now is None else now
        self._first = self._last if self._first is None else self._first
        return float(self._last - self._first)


def _decoder(stream: VideoStream, facts: ContainerFacts, threads: int) -> VideoCodecContext:
    decoder = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and facts.codec in ALPHA_DECODERS:
        with contextlib.suppress(av.error.FFmpegError, ValueError):
            other = CodecContext.create(ALPHA_DECODERS[facts.codec], "r")
            assert isinstance(other, VideoCodecContext)
            decoder = other
    decoder.thread_type = "AUTO" if threads != 1 else "SLICE"
    decoder.thread_count = threads
    return decoder


@contextlib.contextmanager
def _packets_from(
    path: Path, facts: ContainerFacts, stop: Stop | None
) -> "Iterator[tuple[VideoStream, Iterator[Packet[VideoStream]]]]":
    """The stream and its packets: from the last key frame before `stop` on if that can be found, else all."""
    if stop is not None:
        with opened(path) as container:
            stream = container.streams.video[facts.stream]
            with contextlib.suppress(av.error.FFmpegError):
                container.seek(stop.last, stream=stream, backward=True)
            packets = _packets(container, stream)
            first = next(packets, None)
            if first is not None and first.is_keyframe and first.pts is not None and first.pts <= stop.last:
                yield stream, chain([first], packets)
                return
    with opened(path) as container:
        stream = container.streams.video[facts.stream]
        yield stream, _packets(container, stream)


def _packets(container: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """Packets with content; goes on after failures of the container."""
    failures = 0
    while failures < MOST_FAILURES:
        try:
            for packet in container.demux(stream):
                if packet.size:  # the last one is empty
                    failures = 0
                    yield packet
            return
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, IndexError):  # PyAV has no place for a stream that begins in mid-file
            failures += 1


def _shows(packet: "Packet[VideoStream]", facts: ContainerFacts) -> bool:
    """Whether a packet becomes a frame, and neither an edit list nor the codec hides it."""
    return not packet.is_discard and not (facts.codec == "vp8" and not bytes(packet)[0] & 0x10)


def _intact(
    packets: "Iterable[Packet[VideoStream]]",
    decoder: VideoCodecContext,
    facts: ContainerFacts,
    ledger: Ledger,
    stop: Stop | None,
) -> Iterator[VideoFrame]:
    """The frames behind `stop` that are drawn over no broken ones."""
    order: dict[int, int] = {}
    """Which packet that the decoder took had each time; without those whose frame was given."""
    broken: int | None = None
    """The packet that failed; frames of it and later ones are broken, up to one that is whole in itself."""
    ledger.failed_at_end, silent, fed = False, 0, 0
    for packet in _and_flush(packets):
        if packet is not None and _shows(packet, facts):
            ledger.take(packet.pts, stop)
            if packet.pts is not None:
                order[packet.pts] = fed
        if packet is not None and packet.is_corrupt and facts.container in MARKED:
            ledger.damaged, broken = True, fed if broken is None else broken
            continue
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            frames, ledger.damaged, ledger.failed_at_end = [], True, packet is None
            failed = fed - _held_back(decoder)
            broken = failed if broken is None else broken
        fed += 1
        silent = 0 if frames else silent + 1
        if silent > MOST_SILENT:
            return
        for frame in frames:
            came = order.pop(frame.pts, fed) if frame.pts is not None else fed
            if frame.is_corrupt:
                ledger.damaged, broken = True, came if broken is None else broken
                continue
            if broken is not None and came >= broken:
                if not frame.key_frame:
                    continue
                broken = None
            if stop is None or frame.pts is None or frame.pts > stop.last:
                ledger.give(frame.pts)
                yield frame


def _held_back(decoder: VideoCodecContext) -> int:
    """Packets that are taken after one before its result is known: with threads for frames, each holds one."""
    return decoder.thread_count - 1 if decoder.codec.capabilities & FRAME_THREADS else 0


def _and_flush(packets: "Iterable[Packet[VideoStream]]") -> "Iterator[Packet[VideoStream] | None]":
    """Packets, then None, at which a decoder gives the frames that it has held back."""
    yield from packets
    yield None


def _in_order(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """The frames at the times of packets, which a decoder passes on in their order, in place of their own."""
    for frame in frames:
        frame.pts = frame.dts
        yield frame


def _progressive(frames: Iterable[VideoFrame], tick: Fraction, notes: list[str]) -> Iterator[VideoFrame]:
    """Frames without combs: those of two fields are deinterlaced by bwdif, one for one; others stay as they are.

    The first of two fields makes a note.
    """
    graph, kind = None, None
    for frame in frames:
        if frame.interlaced_frame and DEINTERLACED not in notes:
            notes.append(DEINTERLACED)
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None or (frame.format.name, frame.width, frame.height) != kind:
            yield from _pushed(graph, None)
            graph, kind = Graph(), (frame.format.name, frame.width, frame.height)
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=tick)
            graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
            graph.configure()
        yield from _pushed(graph, frame)
    yield from _pushed(graph, None)


def _pushed(graph: Graph | None, frame: VideoFrame | None) -> Iterator[VideoFrame]:
    """The frames that a graph gives for one more, or for the end."""
    if graph is None:
        return
    graph.vpush(frame)
    with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            yield graph.vpull()
