"""What others call: texts in; predictions, inspections and analyses out."""
