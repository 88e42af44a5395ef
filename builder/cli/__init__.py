"""One file per verb: arguments, a call, a rendering."""
