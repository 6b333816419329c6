"""MIL's operators as kernels in torch: one file per group of operators."""
