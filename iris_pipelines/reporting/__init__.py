"""Reports: questions compiled to SQL, answers written as CSV, JSON, XLSX or PDF, once or again and again."""
