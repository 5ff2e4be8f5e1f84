"""How fast, against what others do: ratios within one run. `python -m bench --help`."""
