"""Images from elsewhere and to elsewhere: import, export, and versions made of images that are there."""
