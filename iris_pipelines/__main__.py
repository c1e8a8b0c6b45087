"""`python -m iris_pipelines` is `iris`."""

from iris_pipelines.cli import main

main()
