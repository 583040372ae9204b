"""What `any_model.py` is made of: models as people deploy them, and what is asked of each."""
