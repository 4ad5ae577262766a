"""``slipway image build`` and ``push``, by an engine here or by CodeBuild."""
