"""Models as people write them in repositories of their own: whole, plain, with the habits that they have."""
