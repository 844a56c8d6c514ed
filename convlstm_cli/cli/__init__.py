"""The command line: parses options, calls one public function, and prints its result.

Owns the terminal: options, help pages, tables, progress bars, messages. Adds no rule of its own.
May import everything below; `--help` imports neither torch nor OpenCV."""
