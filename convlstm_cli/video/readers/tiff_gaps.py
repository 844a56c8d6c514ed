"""Whether a TIFF itself says which of its pixels are missing: by a transparency mask, or by alpha."""

import struct
from typing import BinaryIO

from convlstm_cli.video.readers.page_list import first_mask
from convlstm_cli.video.readers.tiff_tags import tags_of

IN_MASK = "its mask says which pixels are missing"
"""The note about a TIFF with a transparency mask."""
IN_ALPHA = "its alpha says which pixels are missing"
"""The note about a TIFF with alpha."""


def gaps_note(file: BinaryIO) -> str | None:
    """The note about the first page of a TIFF that says which of its pixels are missing; None for others."""
    try:
        tags = tags_of(file)
    except (ValueError, struct.error):
        return None
    if tags is None:
        return None
    if first_mask(file) is not None:
        return IN_MASK
    return IN_ALPHA if tags.alpha is not None else None
