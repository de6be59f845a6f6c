"""Read the text of table files without pandas: format, head and numbers."""
