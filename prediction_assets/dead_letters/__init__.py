"""Dead letters: players whose staging failed after its attempts, kept until somebody deals with them."""
