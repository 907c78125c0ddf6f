"""Which way a swap goes over many pools: direct, split over two, or in two hops.

Rule of this package: pure. Pools, the chain's clock and costs go in, candidates come out.

Imports `pools`, and no venue. Public: `candidates`, `quoting`, `terms`.
"""
