"""How connections come in: SOCKS5 where nothing redirects them, and a bound on peers yet to prove who they are."""
