"""Files of records: found, unpacked, and read in batches, whatever their format and size."""
