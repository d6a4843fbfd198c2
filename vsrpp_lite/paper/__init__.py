"""The paper: its published numbers and claims, our numbers beside them, and the function that makes the tables."""
