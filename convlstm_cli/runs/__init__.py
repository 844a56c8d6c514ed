"""A run folder on disk: config, weights, resume state, and the validation of what is read back.

Owns every file format that the tool reads again.
May import compute/, nn/, video/ and the base modules."""
