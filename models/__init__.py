"""Text in; predictions, hidden states and gates out. Knows torch, never HTTP."""
