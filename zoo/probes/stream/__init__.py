"""What a stream holds by depth, and what is left of it without some branches."""
