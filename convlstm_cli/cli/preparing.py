"""The videos and the network of a new training, as the command line asks for them."""

from convlstm_cli.cli.notes import noted
from convlstm_cli.cli.request import Request
from convlstm_cli.compute import device
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.progress import Progress
from convlstm_cli.runs.folders import check_free
from convlstm_cli.train import check_options
from convlstm_cli.training.initial import check_there
from convlstm_cli.training.network import for_videos
from convlstm_cli.training.weighting import measure_of
from convlstm_cli.video import data
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData


def prepare(request: Request, progress: Progress, *, noting: bool = True) -> tuple[VideoData, ForecasterConfig]:
    """Decodes the videos and splits them; the network is fitted to them (`for_videos`).

    `noting`: whether to show what should be known of the videos; a plan of the training shows it too.

    Raises UsageError for options that do not go together or weights that are not there, OutputError where the run
    folder is taken, all before any video is decoded, and InputError where the videos cannot be used.
    """
    training = request.training
    device.choose(training.device, training.precision)
    if request.output is not None:
        check_free(request.output)
    height, width = request.frame_size()
    model = request.model(height, width)
    check_options(model, training)
    check_there(training.init)
    videos = prepare_videos(request.data(height, width), model, progress, noting=noting)
    measure_of(training, videos.values)  # refuses weights that do not fit the values
    return videos, for_videos(model, videos, training)


def prepare_videos(
    config: DataConfig, model: ForecasterConfig, progress: Progress, *, noting: bool = True
) -> VideoData:
    """Decodes the videos and splits them into clips for a network; shows which videos are not used, and why.

    Raises InputError where no video can be used or they are too short for the split.
    """
    videos = data.prepare(config, model.input_frames, model.horizon, progress.indexing)
    progress.finished()
    if not noting:
        return videos
    for problem in videos.library.problems:
        progress.note(f"not used: {problem.path}: {problem.reason}")
    for line in (*videos.library.remarks(), *noted(videos.library.videos), *videos.kept_together()):
        progress.note(line)
    if not videos.values.is_bytes:
        progress.note(f"values {videos.values.describe()} become 0 to 1 for the network")
    for line in videos.value_notes():
        progress.note(line)
    for guide in videos.guides:
        progress.note(guide.describe())
    return videos
