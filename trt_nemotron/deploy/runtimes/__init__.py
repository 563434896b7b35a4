"""One module or package per runtime, behind one protocol."""
