"""What travels between the parts of Slipway: plain data, standard library only."""
