"""What runs in the process that builds and measures candidates. It is made to be killed."""
