"""How a node's agent hands pods to the node's proxy: messages, and the socket they go over (hbone-controlplane 8)."""
