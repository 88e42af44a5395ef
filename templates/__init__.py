"""What the user wrote, read and checked. Pure: no network, no processes."""
