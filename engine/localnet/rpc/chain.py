"""Methods about the chain: slots, heights, blockhashes, the node."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from solders.message import MessageV1, from_bytes_versioned

from engine.localnet.bank import SLOTS_IN_EPOCH, epoch_of
from engine.localnet.programs.budget import budget
from engine.localnet.rpc.parameters import (
    BLOCK_NOT_AVAILABLE,
    SLOT_SKIPPED,
    Call,
    RpcError,
    address,
    commitment,
    invalid,
)
from engine.localnet.state.transaction import Step

_FEES_SHOWN = 150
SAMPLES_MAX, SAMPLE_S = 720, 60


def get_latest_blockhash(call: Call) -> Any:
    """A blockhash and the last height at which it is valid."""
    level = commitment(call.config(0))
    blocks = call.node.bank.blocks
    block = blocks.at(blocks.height(level))
    height = block.height + blocks.lifetime
    return call.answer(level, {"blockhash": block.blockhash, "lastValidBlockHeight": height})


def is_blockhash_valid(call: Call) -> Any:
    """Whether a transaction with this blockhash is still accepted."""
    blockhash, level = call.text(0), commitment(call.config(1))
    blocks = call.node.bank.blocks
    return call.answer(level, blocks.height(level) <= blocks.valid_until(blockhash))


def get_slot(call: Call) -> Any:
    """The newest slot of a commitment."""
    return call.slot(commitment(call.config(0)))


def get_block_height(call: Call) -> Any:
    """The newest block height of a commitment."""
    return call.node.bank.blocks.height(commitment(call.config(0)))


def get_epoch_info(call: Call) -> Any:
    """The epoch, and the place of the slot in it."""
    level = commitment(call.config(0))
    slot = call.slot(level)
    return {
        "absoluteSlot": slot,
        "blockHeight": call.node.bank.blocks.height(level),
        "epoch": epoch_of(slot),
        "slotIndex": slot % SLOTS_IN_EPOCH,
        "slotsInEpoch": SLOTS_IN_EPOCH,
        "transactionCount": len(call.node.bank.recent),
    }


def get_block_time(call: Call) -> Any:
    """The Unix time of a slot's block."""
    slot = call.whole(0)
    if slot > call.slot("finalized"):
        raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
    time_s = call.node.store.time_of(slot)
    if time_s is None:
        detail = f"Slot {slot} was skipped, or missing in long-term storage"
        raise RpcError(SLOT_SKIPPED, detail)
    return time_s


def get_recent_performance_samples(call: Call) -> Any:
    """The number of slots in each of the last minutes, newest first."""
    limit = call.whole(0) if call.params else SAMPLES_MAX
    if limit > SAMPLES_MAX:
        raise invalid(f"Invalid limit; max {SAMPLES_MAX}")
    tip, samples = call.node.bank.blocks.tip, list[dict[str, int]]()
    for number in range(limit):
        end = call.node.store.slot_before(tip.time_s - number * SAMPLE_S)
        begin = call.node.store.slot_before(tip.time_s - (number + 1) * SAMPLE_S)
        if begin is None or end is None:
            break
        samples.append(
            {
                "slot": end,
                "numSlots": end - begin,
                "numTransactions": 0,
                "numNonVoteTransactions": 0,
                "samplePeriodSecs": SAMPLE_S,
            }
        )
    return samples


def get_ag_genesis_cert(call: Call) -> Any:
    """The certificate with which Alpenglow began; null on a chain that runs TowerBFT."""
    node = call.node
    if node.bank.blocks.consensus == "tower":
        return None
    return {"slot": 0, "blockId": node.store.meta("genesis"), "signature": "", "bitmap": ""}


def get_fee_for_message(call: Call) -> Any:
    """What a message would pay; null if its blockhash is not valid."""
    level = commitment(call.config(1))
    try:
        message = from_bytes_versioned(base64.b64decode(call.text(0), validate=True))
    except (ValueError, binascii.Error) as error:
        raise invalid(f"invalid message: {error}") from None
    blocks = call.node.bank.blocks
    if blocks.height(level) > blocks.valid_until(str(message.recent_blockhash)):
        return call.answer(level, None)
    keys = [str(key) for key in message.account_keys]
    steps = [Step(keys[i.program_id_index], i.accounts, i.data) for i in message.instructions]
    config = message.config if isinstance(message, MessageV1) else None
    return call.answer(level, budget(steps, config).fee(message.header.num_required_signatures))


def get_recent_prioritization_fees(call: Call) -> Any:
    """Always zero: this chain has no fee market."""
    for each in call.texts(0, 128) if call.params else []:
        address(each)
    blocks = list(call.node.bank.blocks.newest)[-_FEES_SHOWN:]
    return [{"slot": block.slot, "prioritizationFee": 0} for block in blocks]


METHODS = {
    "getLatestBlockhash": get_latest_blockhash,
    "isBlockhashValid": is_blockhash_valid,
    "getSlot": get_slot,
    "getBlockHeight": get_block_height,
    "getEpochInfo": get_epoch_info,
    "getBlockTime": get_block_time,
    "getRecentPerformanceSamples": get_recent_performance_samples,
    "getAgGenesisCert": get_ag_genesis_cert,
    "getFeeForMessage": get_fee_for_message,
    "getRecentPrioritizationFees": get_recent_prioritization_fees,
    "getGenesisHash": lambda call: call.node.store.meta("genesis"),
    "getFirstAvailableBlock": lambda _call: 0,  # it forgets nothing
    "minimumLedgerSlot": lambda _call: 0,
    "getHealth": lambda _call: "ok",
    "getVersion": lambda _call: {"solana-core": "4.3.0", "feature-set": 0},
}
