"""Which hop of a request is broken, and why: from what was seen, never from what somebody has broken."""
