"""What are the scores of turn-over dropout made of?"""
