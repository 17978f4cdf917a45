"""What can be taken away from a lab that is up, and how it comes back."""
