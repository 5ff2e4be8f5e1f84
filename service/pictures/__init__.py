"""Pictures of what happened inside: fixed scales, colour-blind-safe colours, labels in English or Chinese."""
