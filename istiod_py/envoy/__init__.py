"""What the real Envoy is told: LDS, RDS, CDS, EDS and SDS resources, computed from the mesh (hbone-controlplane 9).

Everything here but `bootstrap` and `protobuf` is a function from plain values to Envoy's own JSON form, which people
can read, compare and keep as files. `resources.py` is the way in: all resources of one proxy, by type and name.
"""
