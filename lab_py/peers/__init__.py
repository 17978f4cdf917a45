"""The processes of a lab: proxies and applications, each in a namespace."""
