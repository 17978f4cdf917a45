"""What the proxies tell about themselves: metrics, access log, ordinary log (hbone-dataplane 7).

The data path touches plain integers and one bounded list of lines; all else happens when somebody asks.
"""
