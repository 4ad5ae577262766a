"""The pure controller: what is known and seen becomes what is to be done, stage by stage."""
