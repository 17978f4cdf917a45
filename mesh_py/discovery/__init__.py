"""Who is where, and where a connection goes: mesh state and the decisions made from it [pure]."""
