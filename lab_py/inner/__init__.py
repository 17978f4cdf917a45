"""What is inside the tunnels, from captured packets and TLS secrets: HBONE's streams as connections [pure]."""
