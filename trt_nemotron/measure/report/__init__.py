"""Results drawn for people: terminal, HTML, Markdown, JUnit."""
