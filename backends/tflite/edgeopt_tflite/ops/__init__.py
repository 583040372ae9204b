"""One module for each family of operators: each function writes one ATen operator."""
