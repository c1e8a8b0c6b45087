"""PDF: figures and charts are asked for beside the rows, and all of it is set by Typst."""
