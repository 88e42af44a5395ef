"""The content-addressed store of layers: what a build left behind at each step, to go on from."""
