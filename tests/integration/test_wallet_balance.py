"""The SOL of the wallet, as a gateway shows it that never reads the key."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from engine import venues
from events.secret import SecretText
from stages.venues.solana.accounts import balance
from tests.support.chain.chain_crew import local_chain, settings_of
from tests.support.chain.localchain import OWNER
from tests.support.http.served import served
from tests.support.waits import until


async def test_readyz_and_metrics_show_the_sol_of_the_wallet_without_its_key(
    redis_url: str, tmp_path: Path
) -> None:
    async with local_chain(tmp_path / "chain") as chain:
        settings = venues.with_wallet(settings_of(tmp_path, chain))
        assert settings.solana_wallet == OWNER
        without_key = msgspec.structs.replace(settings, solana_keypair=SecretText(""))
        trading = venues.open_trading(without_key, signs=False)
        async with (
            served(redis_url, chain_facts=trading.facts) as gateway,
            trading.live(True),
        ):
            lamports = chain.node.bank.state.accounts[OWNER].lamports

            async def known() -> bool:
                _, ready = await gateway.get("/readyz")
                return bool(ready["chain"]["walletLamports"] == lamports)

            await until(known, "the balance to be read")
            async with gateway.http.get(f"{gateway.url}/metrics") as answer:
                [value] = re.findall(r"^oee_wallet_lamports (\S+)$", await answer.text(), re.M)
            assert float(value) == lamports


async def test_a_balance_that_is_not_read_any_more_is_unknown(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local_chain(tmp_path / "chain") as chain:
        settings = venues.with_wallet(settings_of(tmp_path, chain))
        trading = venues.open_trading(settings, signs=False)
        async with trading.live(True):

            def shown() -> object:
                facts = trading.facts()
                assert facts is not None
                return facts["walletLamports"]

            await until(lambda: shown() is not None, "the balance to be read")
            monkeypatch.setattr(balance, "KEPT_S", -1.0)
            assert shown() is None
            async with served(redis_url, chain_facts=trading.facts) as gateway:
                _, ready = await gateway.get("/readyz")
                assert ready["chain"]["walletLamports"] is None
                async with gateway.http.get(f"{gateway.url}/metrics") as answer:
                    assert "\noee_wallet_lamports " not in await answer.text()


async def test_without_an_address_no_balance_is_asked_for(tmp_path: Path) -> None:
    async with local_chain(tmp_path / "chain") as chain:
        trading = venues.open_trading(settings_of(tmp_path, chain), signs=False)
        facts = trading.facts()
        assert facts is not None
        assert "walletLamports" not in facts
