"""What the copies of gallery versions would be billed as, and how many replicas a use needs."""
