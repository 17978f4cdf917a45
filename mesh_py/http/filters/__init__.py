"""Layer 7 filters: small objects in one ordered list [pure].

The order that a proxy builds its chain in, as Istio has it: tokens, policies (and the authorizers they name), then the
user's own, rate limits, faults; the router stands behind them all. Order is behaviour: what a filter changes, the next
one sees.
"""
