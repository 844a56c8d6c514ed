"""Reports: HTML pages, charts, films, strips, and the sentences that state results.

Owns how a result looks; measures nothing.
May import scoring/ and everything below it."""
