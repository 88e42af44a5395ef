"""`build bench`: how long builds of a template take here, from several beginnings."""
