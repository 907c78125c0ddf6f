"""What transactions may compute and load: by what the same kind consumed before, or simulated.

Imports the other rooms of the chain but `outcomes/outcomes`, and sends nothing. Public: `budgets`,
`consumption`, `shared`.
"""
