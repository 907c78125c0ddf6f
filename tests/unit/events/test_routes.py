"""Which quote is best: what is left once the transaction is paid for, too."""

from events import best_quote
from events.types import Quote


def quote(amount_in: int, amount_out: int, cost: int, error: str = "") -> Quote:
    return Quote("dex", f"pool-{amount_out}", amount_in, amount_out, 0, 7, error, cost=cost)


def test_a_dearer_transaction_loses_though_its_route_pays_more() -> None:
    quotes = [quote(10, 1000, 1), quote(10, 1003, 5)]
    assert best_quote.best(quotes, exact_out=False) == 0


def test_where_the_output_is_exact_the_least_input_and_cost_wins() -> None:
    quotes = [quote(100, 10, 9), quote(105, 10, 1)]
    assert best_quote.best(quotes, exact_out=True) == 1


def test_among_equal_quotes_the_first_wins_and_a_refused_quote_never_does() -> None:
    quotes = [quote(10, 2000, 0, "price-impact-too-high"), quote(10, 9, 0), quote(10, 10, 1)]
    assert best_quote.best(quotes, exact_out=False) == 1
    assert best_quote.best(quotes[:1], exact_out=False) is None


def test_the_reason_of_a_route_names_its_margin_over_the_next_quote() -> None:
    quotes = [quote(10, 1_010_000, 0), quote(10, 1_001_000, 1_000)]
    why = best_quote.why(quotes, 0, exact_out=False)
    assert why == "pays 100.00 bps more than pool-1001000, fees and transaction cost off"
    assert best_quote.why(quotes[:1], 0, exact_out=False) == "the only usable quote"
