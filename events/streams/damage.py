"""What msgspec raises beside DecodeError for damaged bytes.

Rule of this package: whoever decodes stored bytes turns these into `msgspec.DecodeError`, so that
damage is one error for all who read.
"""

UNDECODABLE = (UnicodeDecodeError, RecursionError)
"""A damaged length makes text of any bytes; a run of array headers nests too deep."""
