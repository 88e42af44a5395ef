"""Telling people how builds without spectators ended."""
