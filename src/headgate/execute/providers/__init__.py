"""Wire formats, one file each: two pure functions, encode a request and decode a response."""
