"""The nodes of a cluster: methods, answers, faults, failover.

Imports `transaction` to read what it sends, and no other room of the chain. Public: `methods`,
`link`, `options`, `survey`.
"""
