"""`engine localnet`: a Solana chain of one process, on the loopback interface."""

import argparse
import asyncio
import json
from pathlib import Path

import structlog

from engine.processes.lifecycle import serve
from engine.settings import Settings

HELP = "run a local Solana chain with pools of every family"
EXAMPLES = (
    "engine localnet",
    "engine localnet --port 8899 --slot-ms 100",
)
EXITS = {0: "stopped as asked", 1: "cannot start"}
PORT = 8899


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--port", type=_port, default=PORT, help="default: %(default)s; 0: any")
    parser.add_argument("--data", type=_file, help="its file (default: under DATA_DIR)")
    parser.add_argument(
        "--slot-ms", type=_whole, help="length of a slot; 0: at once (default: SLOT_MS)"
    )
    parser.add_argument("--traders", type=_whole, default=3, help="trades of others in a slot")
    parser.add_argument(
        "--faults",
        type=_faults,
        default="{}",
        metavar="JSON",
        help='faults from the start, such as {"dropRate":0.2}: docs/tutorial/local-chain.md',
    )
    parser.add_argument(
        "--fund",
        action="append",
        default=[],
        type=_address,
        metavar="ADDRESS",
        help="address of a wallet to fund",
    )
    parser.add_argument(
        "--no-v1",
        action="store_true",
        help="take no transactions of version 1, as a cluster without that feature",
    )
    parser.add_argument(
        "--pools", action="store_true", help="print the POOLS file of this chain, and exit"
    )


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _port(text: str) -> int:
    if (port := _whole(text)) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return port


def _file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def _address(text: str) -> str:
    from engine.localnet.state.addresses import raw

    try:
        raw(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address") from None
    return text


def _faults(text: str) -> object:
    """As `localnet_setFaults` takes them."""
    import msgspec

    from engine.localnet.faults import Faults

    try:
        return msgspec.json.decode(text, type=Faults)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Runs until asked to stop; prints one line when it answers."""
    if args.pools:
        from engine.localnet.genesis import pools_file

        print(json.dumps(pools_file(), indent=2))
        return 0
    # It may read a long ledger in one turn of its loop.
    return serve(settings, "localnet", lambda stop: _serve(settings, args, stop), may_hang=True)


async def _serve(settings: Settings, args: argparse.Namespace, stop: asyncio.Event) -> None:
    from engine.composition.log import tune
    from engine.localnet.open import FILE, Options, open_node
    from engine.localnet.rpc.server import HOST
    from engine.localnet.rpc.server import serve as open_door
    from stages.pools.families import FAMILIES

    node = open_node(
        Options(
            path=args.data or settings.data_dir / FILE,
            slot_ms=settings.slot_ms if args.slot_ms is None else args.slot_ms,
            consensus=settings.consensus,
            rent_per_byte=settings.rent_lamports_per_byte,
            seed=settings.venue_seed,
            lifetime=settings.blockhash_slots,
            trades_per_slot=args.traders,
            volatility_bps=settings.venue_volatility_bps,
            faults=args.faults,
            transaction_v1=not args.no_v1,
            wallets=tuple(args.fund),
        ),
        FAMILIES,
    )
    runner, port = await open_door(node, args.port)
    tune()
    structlog.get_logger().info("process_ready")
    print(f"ready http://{HOST}:{port}", flush=True)
    try:
        await node.run(stop)
    finally:
        await runner.cleanup()
        node.store.close()
