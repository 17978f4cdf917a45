"""The waypoint: HBONE ends here, layer 7 is understood, judged and routed, and a new tunnel goes on to the pod."""
