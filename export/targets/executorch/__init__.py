"""ExecuTorch programs delegated to XNNPACK."""
