"""The arguments that say which orders are meant, for the commands that list or cancel several."""

from __future__ import annotations

import argparse
from typing import Any

from engine.client import Filters

_FLAGS = ("open", "parked", "in_doubt")


def add_filters(parser: argparse.ArgumentParser, prefix: str = "") -> None:
    """Declares the filters that every command for several orders takes."""
    parser.add_argument("--status", help=f"{prefix}of these statuses, such as watching,submitted")
    parser.add_argument("--type", help=f"{prefix}of these types, such as limit,sniper")
    parser.add_argument("--token", help=f"{prefix}with this token on either side")
    parser.add_argument("--client-order-id", help=f"{prefix}with this client order ID")
    parser.add_argument("--parked", action="store_true", help=f"{prefix}only parked ones")
    parser.add_argument("--in-doubt", action="store_true", help=f"{prefix}only those in doubt")


def filters_of(args: argparse.Namespace) -> Filters:
    """The filters that were given; a flag that is absent leaves both kinds.

    An empty text is passed on, and refused: the empty variable of a script must not mean all.
    """
    flags: dict[str, Any] = {name: True for name in _FLAGS if getattr(args, name, False)}
    return Filters(
        status=args.status,
        type=args.type,
        token=args.token,
        client_order_id=args.client_order_id,
        **flags,
    )
