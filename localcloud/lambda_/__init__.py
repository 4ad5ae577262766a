"""AWS Lambda of the local cloud: functions are kept, and really run in warm worker processes."""
