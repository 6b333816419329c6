"""int8 files beside float32 ones and the vendors' own: size, partitions, equality and time."""
