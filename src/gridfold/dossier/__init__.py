"""What a study hands to referees and archives: checklists, and a crate with all its files."""
