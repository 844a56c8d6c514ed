"""What this process does with memory that it has freed."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, of torch on any device, or of OpenCV says that memory ran out."""
    told = ("DefaultCPUAllocator", "out of memory", "Insufficient memory")
    return isinstance(error, MemoryError) or any(words in str(error) for words in told)


def keep_freed_memory() -> bool:
    """Lets glibc keep freed memory for the next training step; says whether it could (glibc only).

    A step allocates and frees the same tensors over and over. By default glibc maps each block of over 32 MB
    afresh and gives it back when it is freed, so that every page is faulted in and zeroed again, which is slow
    everywhere and very slow in virtual machines whose host takes freed memory away. Holds for the whole process,
    so the command line asks for it and the library does not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
