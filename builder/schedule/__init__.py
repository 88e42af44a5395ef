"""Templates that are built by themselves: at times, or when their source has something newer."""
