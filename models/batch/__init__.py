"""Files of texts -> files of answers, in blocks that a killed run does not do twice.

sources/    JSON lines, CSV, TSV and Parquet, cut into blocks that are read apart from each other
columns     what is added to each row
blocks      one block of rows answered, and written as a part
journal     what a run is, and which of its blocks are done
outputs     the parts, in JSON lines or Parquet, and how they are joined
local       the blocks on this machine's cores
run         all of it in order
"""
