"""What brings traffic to the proxies: one file per place, its rules as values [pure]."""
