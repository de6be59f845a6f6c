"""The text of table files: format, head and numbers; read without pandas."""
