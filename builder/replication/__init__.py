"""Replicas of gallery versions: where regions lie, how copies get there, and whether they are still sound."""
