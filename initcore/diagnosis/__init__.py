"""What is wrong with a net before it is trained (level 7): `diagnose`."""
