"""The error that ends a repair."""


class RepairError(Exception):
    """A step of a repair cannot be done; the message says why. The repair can be begun again."""
