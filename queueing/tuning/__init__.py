"""What other settings would do. Runs in a web process; owns nothing: it reads what statistics counted."""
