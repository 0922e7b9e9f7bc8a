"""`make soak` encrypts 50,000 pictures under kills and ruined files; the tests here do it with 400."""
