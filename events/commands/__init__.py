"""What people may do outside the pipeline: one module a subject, all through `execute`.

Deciders are pure: from the state as it stands to the events that follow, or a refusal.
"""
