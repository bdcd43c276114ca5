"""What generated conversations are made of: phrasings, names, kinds of practice."""
