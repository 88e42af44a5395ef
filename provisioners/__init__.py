"""What changes a guest. Provisioners see a Guest and nothing else of the engine."""
