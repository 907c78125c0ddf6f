"""Routes of a swap over many pools: direct, split over two or three pools, or in two hops.

Rule of this package: pure. Pools, the chain's clock and costs go in, candidates come out.

Imports `pools`, and no venue. Public: `candidates`, `quoting`, `terms`.
"""
