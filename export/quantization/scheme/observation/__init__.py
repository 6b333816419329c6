"""What tensors hold on calibration data, and the range that is made of it."""
