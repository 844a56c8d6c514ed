"""Watching: how surprising each frame of a video is, and which of them raise an alarm, on disk."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.errors import ConvLSTMError, InputError, UsageError
from convlstm_cli.files import replacing_folder, sweep
from convlstm_cli.forecasting.inputs import find_inputs, output_names
from convlstm_cli.forecasting.members import note_uncalibrated
from convlstm_cli.forecasting.times import DEFAULT_FPS
from convlstm_cli.forecasting.units import check_range
from convlstm_cli.forecasting.working_size import check_works_at
from convlstm_cli.progress import Progress
from convlstm_cli.reporting.numbers import rounded
from convlstm_cli.runs.run import Run
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.readers import open_video
from convlstm_cli.watching import normal as normal_frames
from convlstm_cli.watching.calibration import HOUR, Reference
from convlstm_cli.watching.config import WatchConfig
from convlstm_cli.watching.events import Event
from convlstm_cli.watching.forecaster import Forecaster, ObservedFrames
from convlstm_cli.watching.input_format import InputFormat, input_format_of
from convlstm_cli.watching.judging import NormalFrames, judge
from convlstm_cli.watching.normal import NormalVideo
from convlstm_cli.watching.output import Findings, finding
from convlstm_cli.watching.record import RECORD, Calibration, WatchRecord
from convlstm_cli.watching.steps import LOOKED_AT, Steps

COARSE = 100
"""Frames that raise one alarm at the rate that is asked for, below which people are warned."""


@dataclass(frozen=True)
class Watched:
    """What was found in one video, on disk."""

    source: Path
    folder: Path
    record: WatchRecord
    frames_per_second: float
    """Frames of the video that were read, forecast and judged in a second."""

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, in order."""
        return self.record.events

    def to_dict(self) -> dict[str, Any]:
        """As `convlstm watch --json` prints it."""
        found = {"folder": self.folder, "frames_per_second": round(self.frames_per_second, 1)}
        return {**self.record.to_dict(), **found}


def watch(
    inputs: Sequence[str | Path],
    run: Run,
    output: Path,
    config: WatchConfig | None = None,
    progress: Progress | None = None,
    normal: Sequence[str | Path] = (),
) -> Iterator[tuple[Path, Watched | ConvLSTMError]]:
    """Judges every frame of videos by how well it follows from those before it.

    Each frame is forecast from the frames before, one step ahead, and scored by how far its most surprising patch lies
    from that, in what is usual there. The scores of `normal` videos give p-values and the threshold; without any, those
    of the validation and test videos of the run do, and without these the first part of the video itself.

    Each input is written whole into `output`/STEM, or not at all; what an earlier call wrote there is replaced. Memory
    depends on the length of a video only by its events. Yields each input with what was found, or with the error that
    it failed with, and goes on.

    Args:
        inputs: video files, image folders, files of arrays, or folders of any of these.
        run: the run whose network forecasts each frame.
        output: the folder of all that is found.
        config: the settings; None for the defaults.
        progress: receives progress and notes; None is silent.
        normal: videos, or folders of them, that show nothing to raise an alarm for.

    Raises:
        UsageError: a device that does not exist, or an option that does not fit the run.
        RunError: a run without usable weights, or one without members where some are asked for.
        InputError: `normal` that holds no video.
    """
    config, progress = config or WatchConfig(), progress or Progress()
    check_run(run, config)
    compute = device.choose(config.device, config.precision)
    run = run.for_members() if config.members else run
    watcher = Watcher(run, config, compute, progress, normal_frames.named(normal, progress))
    sources = find_inputs(inputs, progress)
    names = output_names([source for source in sources if isinstance(source, Path)])
    sweep(output)
    for source in sources:
        if isinstance(source, tuple):
            yield source
            continue
        outcome: Watched | ConvLSTMError
        try:
            outcome = watcher.watch(source, output / names[source])
        except UsageError:
            raise  # about an option, so it would be the same for every input
        except ConvLSTMError as error:
            outcome = error
        progress.finished()  # before the caller shows the outcome
        yield source, outcome


def check_run(run: Run, config: WatchConfig) -> None:
    """Raises UsageError for a run that cannot watch, or options that do not fit it."""
    check_range([run], config.reading)
    check_works_at([run], config.reading)
    if run.guides:
        raise UsageError(
            f"{run.folder}: was trained with {run.guides[0].flag}, and watch gives a network no such channels; train a "
            "run without it, or use -m pretrained."
        )


class Watcher:
    """Watches videos with one run; what normal videos show is found once for all videos that are seen alike."""

    def __init__(
        self, run: Run, config: WatchConfig, compute: Compute, progress: Progress, normal: tuple[NormalVideo, ...]
    ) -> None:
        """`normal` are the videos that are named as normal; none where the run's own, or the first part, count."""
        self._run, self._config, self._compute, self._progress = run, config, compute, progress
        self._named = normal
        self._forecasters: dict[int, Forecaster] = {}
        self._references: dict[object, NormalFrames] = {}

    def watch(self, source: Path, folder: Path) -> Watched:
        """Judges one video. Raises InputError or OutputError."""
        began = time.perf_counter()
        with open_video(source) as video, replacing_folder(folder, RECORD) as partial:
            video.select(self._config.channels or self._run.chosen_channels)
            steps = Steps(video, self._config.pace_of(self._run))
            first = list(itertools.islice(steps, LOOKED_AT))
            input_format, run = input_format_of(video, [step.pixels for step in first], self._run, self._config)
            if (doubt := input_format.values.doubt(video.unit, video.dtype.name)) is not None:
                self._progress.note(f"{source}: {doubt}.")
            forecaster = self._forecaster(run)
            seconds = self._seconds(source, steps)
            stream = forecaster.seen(itertools.chain(first, steps), input_format)
            known = self._normal(source, input_format, forecaster)
            calibrating: list[ObservedFrames] = []
            if known is None:
                known, calibrating = self._first_part(source, stream, video.declared_frames, forecaster.reach)
            reference = known.reference(forecaster.reach, seconds, self._config.false_alarms)
            self._note_threshold(source, reference, seconds)
            with finding(partial, forecaster.reach) as findings:
                for seen in calibrating:
                    judge(seen, reference, input_format, findings, normal=True)
                for seen in stream:
                    judge(seen, reference, input_format, findings)
                    self._progress.watching(source.name, findings.frames, video.declared_frames)
            for note in video.notes:
                self._progress.note(f"{source}: {note}.")
            self._check_length(source, findings, forecaster.reach, known)
            findings.draw(partial, reference.threshold, Painter(input_format.values, self._config.colormap))
            record = self._record(source, input_format, findings, known, reference, seconds)
            record.write(partial)
        return Watched(source, folder, record, findings.frames / (time.perf_counter() - began))

    def _forecaster(self, run: Run) -> Forecaster:
        channels = run.model_config.channels
        if channels not in self._forecasters:
            forecaster = Forecaster(run, self._config, self._compute)
            if self._config.members:
                note_uncalibrated([run], [forecaster.model], self._progress)
            self._forecasters[channels] = forecaster
        return self._forecasters[channels]

    def _normal(self, source: Path, input_format: InputFormat, forecaster: Forecaster) -> NormalFrames | None:
        """What normal videos show; None where there are none, so that the first part of the video counts."""
        videos = self._named or normal_frames.of_run(self._run, source)
        if not videos:
            return None
        key = (videos, input_format)
        if key not in self._references:
            words = "--normal" if self._named else "the validation and test videos of the run"
            found = NormalFrames(f"{words}, {len(videos)} video{'s' * (len(videos) != 1)}")
            for video in videos:
                self._progress.indexing(video.path.name, videos.index(video) + 1, len(videos))
                self._read_normal(video, input_format, forecaster, found)
            self._progress.finished()
            if found.frames < normal_frames.LEAST:
                if self._named:
                    raise normal_frames.too_few("--normal", found.frames)
                return None
            self._references[key] = found
            if found.is_full:
                self._progress.note(f"of {words} the first {found.frames} frames are compared with")
        return self._references[key]

    def _read_normal(
        self, part: NormalVideo, input_format: InputFormat, forecaster: Forecaster, found: NormalFrames
    ) -> None:
        """Adds the frames of a normal video."""
        with open_video(part.path) as video:
            video.select(self._config.channels or self._run.chosen_channels)
            steps = Steps(video, self._config.pace_of(self._run))
            first = list(itertools.islice(steps, LOOKED_AT))
            like = input_format.of_normal(video, [step.pixels for step in first], self._run, self._config)
            wanted = (
                step
                for step in itertools.takewhile(
                    lambda step: part.last is None or step.number <= part.last, itertools.chain(first, steps)
                )
                if step.number >= part.first
            )
            for seen in forecaster.seen(wanted, like):
                found.add(seen)
                if found.is_full:
                    return
            found.part_from_next(forecaster.reach)

    def _first_part(
        self, source: Path, stream: Iterator[ObservedFrames], declared: int | None, reach: int
    ) -> tuple[NormalFrames, list[ObservedFrames]]:
        """What the first part of a video shows, and its frames. Raises InputError where it is too short."""
        wanted = normal_frames.first_part(declared)
        found, taken = NormalFrames("the first part of the video itself"), []
        for seen in stream:
            found.add(seen)
            taken.append(seen.without_pictures())
            if found.frames >= wanted or found.is_full:
                break
        if found.frames < normal_frames.LEAST:
            raise InputError(
                f"{source}: has {found.frames} frames that can be forecast, from {reach} before each, and the first "
                f"{normal_frames.LEAST} of a video are taken for normal; give a longer video, or --normal FOLDER with "
                "videos of normal behaviour."
            )
        self._progress.note(
            f"{source}: its first {found.frames} frames that can be forecast are taken for normal, and raise no "
            "alarm; --normal FOLDER names other videos instead"
        )
        return found, taken

    def _seconds(self, source: Path, steps: Steps) -> float:
        """Seconds from one frame to the next, by which rates are counted."""
        if steps.seconds is None:
            self._progress.note(
                f"{source}: has no times; alarms an hour are counted at {DEFAULT_FPS:g} frames a second"
            )
        return steps.seconds or 1 / DEFAULT_FPS

    def _note_threshold(self, source: Path, reference: Reference, seconds: float) -> None:
        asked, threshold = self._config.false_alarms, reference.threshold
        if not threshold.is_as_asked:
            self._progress.note(
                f"{source}: {len(reference.scores)} normal frames show no score that is rarer than "
                f"{rounded(threshold.per_hour)} alarms an hour, so that is used instead of --false-alarms {asked:g}; "
                "--normal FOLDER with more normal frames makes alarms rarer"
            )
        elif HOUR / seconds < COARSE * asked:
            self._progress.note(
                f"{source}: has {rounded(HOUR / seconds)} frames an hour, so --false-alarms {asked:g} is one alarm in "
                f"{rounded(HOUR / seconds / asked)} normal frames; a lower one makes alarms rarer"
            )

    @staticmethod
    def _check_length(source: Path, findings: Findings, reach: int, known: NormalFrames) -> None:
        if not findings.judged:
            raise InputError(
                f"{source}: has {findings.frames} frames, and none is left to judge: each takes {reach} frames before "
                f"it that have values, without a gap, and normal is {known.source}; give a longer video."
            )

    def _record(
        self,
        source: Path,
        input_format: InputFormat,
        findings: Findings,
        known: NormalFrames,
        reference: Reference,
        seconds: float,
    ) -> WatchRecord:
        return WatchRecord(
            source=str(source),
            run=str(self._run.folder),
            members=self._config.members,
            size=input_format.size,
            values=input_format.values,
            frames=findings.frames,
            scored=findings.scored,
            judged=findings.judged,
            alarms=findings.alarms,
            calibration=Calibration(known.source, len(reference.scores), seconds, reference.threshold),
            events=tuple(findings.events.found),
            settings=self._config,
        )
