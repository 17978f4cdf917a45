"""What sidecars and waypoints have in common: whom a request means, who can serve it, and the way there."""
