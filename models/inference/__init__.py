"""The library's interface: texts in; predictions, inspections and analyses out."""
