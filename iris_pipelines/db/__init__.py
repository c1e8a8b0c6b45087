"""PostgreSQL: the server, the pool, the migrations and every SQL statement by its name."""
