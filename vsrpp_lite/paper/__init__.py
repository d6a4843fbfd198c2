"""The paper: its published numbers and claims, ours beside them, and the command that makes both."""
