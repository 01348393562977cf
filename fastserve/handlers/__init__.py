"""What to answer: the handler classes of http.server. Knows no loop; fastserve.server re-exports them."""
