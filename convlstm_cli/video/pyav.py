"""The one place that imports PyAV, and keeps its FFmpeg from writing to the user's terminal."""

from convlstm_cli.errors import DependencyError

try:
    import av
except ImportError as error:
    raise DependencyError(f"PyAV does not load ({error}); install it with `pip install av`.") from error

__all__ = ["av"]

# Messages are dropped inside FFmpeg's own threads. Any level would send them to Python's logging, whose lock those
# threads would wait for.
av.logging.set_level(None)
