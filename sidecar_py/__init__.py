"""The proxy beside one workload, at layers 4 and 7: 15001 outbound, 15006 and 15008 inbound."""
