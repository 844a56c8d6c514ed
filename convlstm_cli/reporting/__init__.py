"""Reports: HTML pages, charts, films, strips, and the words that results are told in.

Owns what a result looks like; measures nothing.
May import scoring/ and everything below it."""
