"""What is sent and when: the loop asks a source, and knows no kind of load itself."""
