"""Several recipes over several seeds on the same data: runs, paired significance, one table, one page."""
