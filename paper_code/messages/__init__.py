"""What travels: a message, its header, its frame."""
