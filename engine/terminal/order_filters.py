"""The arguments that say which orders are meant, for the commands that list or cancel several."""

from __future__ import annotations

import argparse

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
    """The filters that were given; a flag that is absent leaves both kinds."""
    flags = {name: True for name in _FLAGS if getattr(args, name, False)}
    return Filters(
        status=args.status or None,
        type=args.type or None,
        token=args.token or None,
        client_order_id=args.client_order_id or None,
        **flags,
    )
