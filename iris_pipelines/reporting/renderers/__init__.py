"""Reports as files: an answer written as CSV, JSON, XLSX or PDF."""
