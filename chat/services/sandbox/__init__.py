"""The sandbox in which untrusted files are read.  Nothing here imports Django: ``helper`` runs as
a small process of its own."""
