"""From raw records to figures: pure, recomputable from the file alone, with limits and doubts."""
