"""Who may connect: policies compiled for speed, and the verdict for one connection [pure]."""
