"""What goes over the wire: schemas, rendering, problems."""
