"""What the authorities of a token may do to it: codes and texts of `warnings`.

Rule of this file: pure, and the one table that quotes, orders, documents and the console share.
"""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "mint-authority": "The mint authority may mint more of the token.",
    "freeze-authority": "The freeze authority may freeze the wallet's account of the token.",
    "transfer-fee": (
        "Transfers of the token pay a fee to its issuer. Quotes and amounts include it."
    ),
    "transfer-fee-authority": (
        "The issuer may change the token's transfer fee; it counts two epochs later."
    ),
    "transfer-hook-authority": (
        "The issuer may make transfers of the token run a program. From then on it is not traded."
    ),
    "pausable": "The issuer may pause the token. While it is paused, it is not traded.",
    "permanent-delegate": (
        "The issuer may take the token out of any account, the wallet's included."
    ),
    "default-frozen": (
        "New accounts of the token are frozen until its issuer thaws them. A wallet without a "
        "usable account cannot receive it."
    ),
    "interest-bearing": (
        "Wallets may show the token with interest. Amounts here are base units over the mint's "
        "decimals, without it."
    ),
    "scaled-amount": (
        "Wallets may show the token multiplied by a factor. Amounts here are base units over the "
        "mint's decimals, without it."
    ),
}
"""By code: what it means to a holder of the token."""
