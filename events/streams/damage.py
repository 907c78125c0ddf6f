"""The exceptions that msgspec raises for damaged bytes, besides DecodeError.

Rule of this package: code that decodes stored bytes converts these to `msgspec.DecodeError`, so
that callers handle one error.
"""

UNDECODABLE = (UnicodeDecodeError, RecursionError)
"""Text that is not UTF-8, as after a damaged length; arrays that are nested too deep."""
