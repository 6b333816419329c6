"""What can be measured on: this host and phones over adb, behind one contract."""
