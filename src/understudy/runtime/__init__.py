"""What the machine gives and keeps: files that are whole or not there, devices, processor
cores, threads that read ahead, keys, and the folder of this installation."""
