"""The service: an index over HTTP, for a page in a browser and for other programs."""
