"""What a running Space may ask of the kernel, beyond the engine's own options."""
