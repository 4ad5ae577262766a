"""AWS Step Functions of the local cloud: state machines that run on the cloud's own clock."""
