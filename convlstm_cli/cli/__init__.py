"""The command line: parses options, calls one public function, and prints its result.

Owns the terminal: options, tables, progress bars, messages. Adds no rule of its own.
May import everything below; imports torch and OpenCV inside commands only."""
